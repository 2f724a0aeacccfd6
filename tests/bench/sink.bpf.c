// Where measured packets end.
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

SEC("tc")
int sink(struct __sk_buff* skb) {
  (void)skb;
  return TC_ACT_SHOT;
}

const char kLicense[] SEC("license") = "Dual BSD/GPL";
