// The least that a program on tun egress can do for a UDP datagram: addresses and next hop are constants, nothing is
// looked up, checked or counted. What it loses against native IPv6 is the kernel's part.
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

// Given by the compiler's options: UPLINK, an ifindex; CLAT, PREFIX and NEXT_HOP, the 16 bytes of addresses.
static const __u8 kClat[] = {CLAT}, kPrefix[] = {PREFIX}, kNextHop[] = {NEXT_HOP};

SEC("tc")
int bare(struct __sk_buff* skb) {
  const struct iphdr* four = (void*)(long)skb->data;
  if (skb->protocol != bpf_htons(ETH_P_IP) || (void*)(four + 1) > (void*)(long)skb->data_end) return TC_ACT_UNSPEC;
  struct ipv6hdr six = {.version = 6,
                        .payload_len = bpf_htons(bpf_ntohs(four->tot_len) - sizeof(*four)),
                        .nexthdr = four->protocol,
                        .hop_limit = four->ttl - 1};
  __builtin_memcpy(&six.saddr, kClat, sizeof(six.saddr));
  __builtin_memcpy(&six.daddr, kPrefix, sizeof(six.daddr));
  six.daddr.in6_u.u6_addr32[3] = four->daddr;
  struct bpf_redir_neigh next_hop = {.nh_family = 10 /* AF_INET6 */};
  __builtin_memcpy(next_hop.ipv6_nh, kNextHop, sizeof(next_hop.ipv6_nh));
  if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0) || bpf_skb_store_bytes(skb, 0, &six, sizeof(six), 0) ||
      bpf_skb_change_head(skb, ETH_HLEN, 0)) {
    return TC_ACT_SHOT;
  }
  return bpf_redirect_neigh(UPLINK, &next_hop, sizeof(next_hop), 0);
}

const char kLicense[] SEC("license") = "Dual BSD/GPL";
