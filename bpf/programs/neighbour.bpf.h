// Neighbour Solicitations for the CLAT address (RFC 4861 §7.2), answered without the kernel or any process.
#pragma once

#include "bpf/programs/work.bpf.h"

#define ND_FIRST 133  // Router Solicitation
#define ND_LAST 137   // Redirect
#define ND_SOLICITATION 135
#define ND_ADVERTISEMENT 136
#define ND_SOURCE_LINK_LAYER 1
#define ND_TARGET_LINK_LAYER 2
#define ND_HOP_LIMIT 255
#define ND_SOLICITED 0x40000000u
#define ND_OVERRIDE 0x20000000u

#define SOLICITATION 24       // bytes before the options
#define SOLICITATION_MAX 128  // longer ones (RFC 3971 signatures) are left to the kernel

#define ADVERTISEMENT 32  // bytes from its type on

inline_always int is_unspecified(const __u32* address) { return !(address[0] | address[1] | address[2] | address[3]); }

// ff02::1:ffXX:XXXX of the CLAT address.
inline_always int is_solicited_node(const struct clat_interface* uplink, const __u32* address) {
  return address[0] == bpf_htonl(0xff020000) && address[1] == 0 && address[2] == bpf_htonl(1) &&
         address[3] == (uplink->v6_be32[3] | bpf_htonl(0xff000000));
}

// RFC 4861 §7.1.1: no option of length 0; from the unspecified address no source link-layer address.
inline_always int has_valid_options(struct __sk_buff* skb, __u32 message, __u32 length, int unspecified) {
  __u32 at = SOLICITATION;
  for (int i = 0; i < (SOLICITATION_MAX - SOLICITATION) / 8 && at < length; ++i) {
    __u8 option[2];
    if (bpf_skb_load_bytes(skb, message + at, option, sizeof(option))) return 0;
    if (option[1] == 0 || (unspecified && option[0] == ND_SOURCE_LINK_LAYER)) return 0;
    at += option[1] * 8;
  }
  return at == length;
}

// Source, destination and message in one row, as the checksum wants them.
inline_always int has_right_checksum(struct __sk_buff* skb, struct work* work, __u32 l2, __u32 length) {
  __u8* bytes = (__u8*)work->chunk;
  __builtin_memset(bytes, 0, 32 + SOLICITATION_MAX);
  if (bpf_skb_load_bytes(skb, l2 + offsetof(struct ipv6hdr, saddr), bytes, 32)) return 0;
  if (bpf_skb_load_bytes(skb, l2 + sizeof(struct ipv6hdr), bytes + 32, bounded(length, SOLICITATION_MAX))) return 0;
  // Bytes behind the message are zero and add nothing.
  const __s64 sum = bpf_csum_diff(NULL, 0, (__be32*)bytes, 32 + SOLICITATION_MAX, bpf_htonl(length + IPPROTO_ICMPV6));
  return fold(sum) == 0xffff;
}

// ND that is no solicitation for the CLAT address, and any that RFC 4861 calls invalid, passes.
static __noinline int answer_solicitation(struct __sk_buff* skb, const struct clat_interface* uplink,
                                          const struct ipv6hdr* ip) {
  struct work* work = work_of_this_cpu();
  if (!work) return PASS;
  const __u32 l2 = ETH_HLEN;
  const __u32 message = l2 + sizeof(*ip);
  const __u32 length = bpf_ntohs(ip->payload_len);
  const __u32* source = ip->saddr.in6_u.u6_addr32;
  const __u32* destination = ip->daddr.in6_u.u6_addr32;
  if (ip->hop_limit != ND_HOP_LIMIT || length < SOLICITATION || length > SOLICITATION_MAX) return PASS;
  struct {
    __u8 type, code;
    __u16 checksum;
    __u32 reserved;
    __u32 target[4];
  } asked;
  if (bpf_skb_load_bytes(skb, message, &asked, sizeof(asked)) || asked.code != 0) return PASS;
  const __u32* target = asked.target;
  if (!same_address(target, uplink->v6_be32)) return PASS;
  const int unspecified = is_unspecified(source);
  // RFC 4862 §5.4.3: two that want it. Both give way, and user space hears of it.
  const int optimistic = bpf_map_lookup_elem(&clat_optimistic, &uplink->uplink_ifindex) != NULL;
  if (optimistic && unspecified) return PASS;
  if (!is_solicited_node(uplink, destination) && (unspecified || !same_address(destination, target))) return PASS;
  if ((source[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000)) return PASS;
  if (!has_valid_options(skb, message, length, unspecified) || !has_right_checksum(skb, work, l2, length)) return PASS;

  struct advertisement* reply = &work->reply;
  __builtin_memset(reply, 0, sizeof(*reply));
  struct ethhdr frame;
  if (bpf_skb_load_bytes(skb, 0, &frame, sizeof(frame)) || frame.h_source[0] & 1) return PASS;
  if (unspecified) {
    reply->ethernet.h_dest[0] = reply->ethernet.h_dest[1] = 0x33;
    reply->ethernet.h_dest[5] = 1;
    reply->ip.daddr.in6_u.u6_addr32[0] = bpf_htonl(0xff020000);
    reply->ip.daddr.in6_u.u6_addr32[3] = bpf_htonl(1);
  } else {
    __builtin_memcpy(reply->ethernet.h_dest, frame.h_source, ETH_ALEN);
    __builtin_memcpy(&reply->ip.daddr, source, sizeof(reply->ip.daddr));
  }
  __builtin_memcpy(reply->ethernet.h_source, uplink->mac, ETH_ALEN);
  // Our own probe come back is no question of somebody else's (RFC 7527).
  if (__builtin_memcmp(frame.h_source, uplink->mac, ETH_ALEN) == 0) return PASS;
  reply->ethernet.h_proto = bpf_htons(ETH_P_IPV6);
  reply->ip.version = 6;
  reply->ip.payload_len = bpf_htons(ADVERTISEMENT);
  reply->ip.nexthdr = IPPROTO_ICMPV6;
  reply->ip.hop_limit = ND_HOP_LIMIT;
  __builtin_memcpy(&reply->ip.saddr, target, sizeof(asked.target));
  reply->type = ND_ADVERTISEMENT;
  reply->flags = bpf_htonl((optimistic ? 0 : ND_OVERRIDE) | (unspecified ? 0 : ND_SOLICITED));
  __builtin_memcpy(reply->target, target, sizeof(asked.target));
  reply->option = ND_TARGET_LINK_LAYER;
  reply->option_length = 1;
  __builtin_memcpy(reply->link_layer, uplink->mac, ETH_ALEN);
  const __s64 sum = bpf_csum_diff(NULL, 0, reply->ip.saddr.in6_u.u6_addr32, 32 + ADVERTISEMENT,
                                  bpf_htonl(ADVERTISEMENT + IPPROTO_ICMPV6));
  reply->checksum = ~fold(sum);

  // The packet changes from here on.
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  if (bpf_skb_change_tail(skb, message + ADVERTISEMENT, 0) ||
      bpf_skb_store_bytes(skb, 0, &reply->ethernet, sizeof(reply->ethernet), 0) ||
      bpf_skb_store_bytes(skb, l2, &reply->ip, sizeof(reply->ip) + ADVERTISEMENT, BPF_F_RECOMPUTE_CSUM)) {
    return drop(skb, uplink, CLAT_DROP_KERNEL);
  }
  struct clat_counters* counters = counters_of(uplink);
  if (counters) ++counters->solicitations_answered;
  return bpf_redirect(skb->ifindex, 0);
}
