// IP headers of one family in place of those of the other.
#pragma once

#include "bpf/programs/transport.bpf.h"

#define DONT_FRAGMENT 0x4000
#define MORE_FRAGMENTS 0x2000
#define FRAGMENT_OFFSET 0x1fff        // units of 8 bytes
#define IPV4_FRAGMENTABLE 1260        // RFC 7915 §5.1: results up to here may be fragmented again
#define ICMP_ERROR_SOURCE 0xc0000008  // 192.0.0.8, for routers that have no IPv4 address

inline_always __u16 ipv4_header_sum(const struct iphdr* ip) { return fold(sum_of_words((const __u32*)ip, 5)); }

// RFC 7915 §5.1, with `length` bytes behind the header. Identification, fragment field and checksum are left for
// finish_ipv4().
inline_always struct iphdr ipv4_header(const struct ipv6hdr* six, __u8 protocol, __u32 length, __u32 source_be32,
                                       __u32 destination_be32) {
  return (struct iphdr){.version = 4,
                        .ihl = 5,
                        .tos = bpf_ntohl(*(const __u32*)six) >> 20,
                        .tot_len = bpf_htons(IPV4_HEADER + length),
                        .ttl = six->hop_limit,
                        .protocol = protocol,
                        .saddr = source_be32,
                        .daddr = destination_be32};
}
inline_always void finish_ipv4(struct iphdr* four, __u16 id_be16, __u16 fragment) {
  four->id = id_be16;
  four->frag_off = bpf_htons(fragment);
  four->check = ~ipv4_header_sum(four);
}
// What is larger gets DF.
inline_always int exceeds_ipv4_mtu(const struct clat_interface* uplink, __u32 size) {
  return size > uplink->ipv4_mtu && size > IPV4_FRAGMENTABLE;
}
// Of a packet that is no fragment. `size` is that of one on the wire.
inline_always void finish_whole_ipv4(struct iphdr* four, __u32 size) {
  const int fragmentable = size <= IPV4_FRAGMENTABLE;
  finish_ipv4(four, fragmentable ? bpf_get_prandom_u32() : 0, fragmentable ? 0 : DONT_FRAGMENT);
}

// RFC 7915 §4.1, but for the addresses.
inline_always void set_ipv6_header(struct ipv6hdr* six, const struct iphdr* four, __u8 next, __u32 length) {
  *(__u32*)six = bpf_htonl(6u << 28 | (__u32)four->tos << 20);
  six->payload_len = bpf_htons(length);
  six->nexthdr = next;
  six->hop_limit = four->ttl;
}

// The next hop's MTU, and whether the sender lets us fragment (RFC 7915 §4.1).
inline_always enum clat_punt fits_uplink(const struct clat_interface* tun, __u32 size, __be16 fragment) {
  if (size > tun->largest_ipv6) return CLAT_PUNT_TOO_BIG;
  return size > tun->lowest_ipv6_mtu && !(fragment & bpf_htons(DONT_FRAGMENT)) ? CLAT_PUNT_TO_FRAGMENT : NOT_PUNTED;
}

inline_always __u32 link_header(const struct clat_interface* uplink) {
  return uplink->flags & CLAT_FLAG_RAW_IP ? 0 : ETH_HLEN;
}

enum replacement { REPLACED, REFUSED, BROKEN };  // refused: nothing is changed

// Ends the packet at `end` (Ethernet padding and the like go), and puts `after` bytes of headers in place of its first
// `before`; all count from the IP header on.
inline_always enum replacement replace_headers(struct __sk_buff* skb, const __u32 l2,
                                               const enum clat_direction direction, __u32 end, __u32 before,
                                               const void* headers, __u32 after) {
  const int to_ipv6 = direction == CLAT_TO_IPV6;
  if (skb->len > l2 + end && bpf_skb_change_tail(skb, l2 + end, 0)) return REFUSED;
  if (bpf_skb_change_proto(skb, bpf_htons(to_ipv6 ? ETH_P_IPV6 : ETH_P_IP), 0)) return REFUSED;
  const __s32 room = (__s32)(after - before) - (to_ipv6 ? IPV6_HEADER - IPV4_HEADER : IPV4_HEADER - IPV6_HEADER);
  if (room && bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO)) return BROKEN;
  return bpf_skb_store_bytes(skb, l2, headers, after, BPF_F_RECOMPUTE_CSUM) ? BROKEN : REPLACED;
}
