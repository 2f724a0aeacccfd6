// Transports under a change of IP header: what a packet holds, how large it is on the wire, how its checksum follows.
#pragma once

#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/programs/packet.bpf.h"

#define NOT_PUNTED CLAT_PUNTS
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define FRAGMENT_HEADER 8

struct transport {
  __u32 header_length;  // of TCP and UDP
  __u32 checksum_at;    // bytes into the transport header; 0: nothing follows the addresses
  enum clat_protocol counted_as;
  __u8 protocol;
  __u8 never_zero;  // the checksum: that would say that there is none
  __u8 unsummed;    // UDP without a checksum that needs one
  // Of UDP and UDP-Lite: their checksum, and the length in its pseudo-header.
  __u16 checksum_be16;
  __u16 length_be16;
};

// VXLAN, GENEVE. Of a GSO packet inside a UDP tunnel bpf_skb_change_proto converts the inner kind, which breaks it; and
// what kind of GSO a packet has a program cannot see.
inline_always int is_tunnel(__be16 port) {
  return port == bpf_htons(4789) || port == bpf_htons(8472) || port == bpf_htons(6081);
}

inline_always void describe_tcp(const struct tcphdr* tcp, struct transport* out) {
  out->counted_as = CLAT_TCP;
  out->protocol = IPPROTO_TCP;
  out->header_length = tcp->doff * 4;
  out->checksum_at = offsetof(struct tcphdr, check);
}
inline_always void describe_udp(const struct udphdr* udp, struct transport* out) {
  out->counted_as = CLAT_UDP;
  out->protocol = IPPROTO_UDP;
  out->header_length = sizeof(*udp);
  out->checksum_at = offsetof(struct udphdr, check);
  out->never_zero = 1;
  out->checksum_be16 = udp->check;
  out->length_be16 = udp->len;
}
// Only segments need to know where their header ends.
inline_always int has_bad_tcp_header(const struct __sk_buff* skb, const struct transport* tcp, __u32 length) {
  return skb->gso_size && (tcp->header_length < sizeof(struct tcphdr) || tcp->header_length > length);
}
// Shorter than the packet is legal, and changes nothing: the pseudo-header takes this length in both families.
inline_always int has_bad_udp_length(const struct transport* udp, __u32 length) {
  const __u32 covered = bpf_ntohs(udp->length_be16);
  return covered < sizeof(struct udphdr) || covered > length;
}

// The largest packet on the wire: bpf_redirect_neigh asks for no MTU, and of a GSO packet each segment counts.
inline_always __u32 wire_size(const struct __sk_buff* skb, __u32 ip_header, const struct transport* t, __u32 length) {
  return ip_header + (skb->gso_size ? t->header_length + skb->gso_size : length);
}

// gso_segs is not known for packets from a tun, and forgotten by bpf_skb_change_proto.
inline_always void count_flow(const struct __sk_buff* skb, struct clat_flow* flow, __u32 ip_header, __u32 length,
                              const struct transport* t) {
  const __u32 segment = skb->gso_size;
  flow->packets += segment ? (length - t->header_length + segment - 1) / segment : 1;
  flow->bytes += ip_header + length;
}
inline_always void count_fast(const struct __sk_buff* skb, const struct clat_interface* interface,
                              enum clat_direction direction, __u32 ip_header, __u32 length, const struct transport* t) {
  struct clat_counters* counters = counters_of(interface);
  if (!counters) return;
  count_flow(skb, &counters->fast[direction][index_of(skb, t->counted_as, CLAT_PROTOCOLS)], ip_header, length, t);
}

inline_always __u32 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}
// What adding stands for subtracting `sum`.
inline_always __u32 minus(__u64 sum) { return ~fold(sum) & 0xffff; }

inline_always __u64 sum_of_words(const __u32* words, const int count) {
  __u64 sum = 0;
  for (int i = 0; i < count; ++i) sum += words[i];
  return sum;
}

// How the sum of the addresses changes when they are exchanged; length and protocol stay.
struct exchange {
  __u32 gone;
  __u32 come;
  __u32 difference;  // 0: neutral
};
inline_always __u32 neutral_is_zero(__u32 difference) { return difference == 0xffff ? 0 : difference; }
inline_always struct exchange exchange_addresses(const __u32* v6_source, const __u32* v6_destination, __u32 v4_source,
                                                 __u32 v4_destination, const enum clat_direction direction) {
  const __u32 six = fold(sum_of_words(v6_source, 4) + sum_of_words(v6_destination, 4));
  const __u32 four = fold((__u64)v4_source + v4_destination);
  const __u32 gone = direction == CLAT_TO_IPV6 ? four : six;
  const __u32 come = direction == CLAT_TO_IPV6 ? six : four;
  return (struct exchange){.gone = gone, .come = come, .difference = neutral_is_zero(fold(come + (~gone & 0xffff)))};
}

// The helper knows whether the packet's checksum is unfinished (CHECKSUM_PARTIAL), and then adds to it what it would
// subtract else; but it takes it for this header's, and in a UDP tunnel it may be the inner packet's, while the outer
// one is finished. An unfinished one holds the pseudo-header's sum; the odds that a finished one does are 1 in 65535.
inline_always int may_be_unfinished(const struct __sk_buff* skb, const struct transport* udp,
                                    const struct exchange* addresses) {
  return skb->gso_size ||
         udp->checksum_be16 == fold((__u64)addresses->gone + udp->length_be16 + bpf_htons(udp->protocol));
}
inline_always long mend_checksum(struct __sk_buff* skb, __u32 at, const struct transport* t,
                                 const struct exchange* addresses) {
  if (!addresses->difference || !t->checksum_at) return 0;
  const __u32 field = at + t->checksum_at;
  if (!t->never_zero) return bpf_l4_csum_replace(skb, field, 0, addresses->difference, BPF_F_PSEUDO_HDR);
  if (may_be_unfinished(skb, t, addresses)) {
    return bpf_l4_csum_replace(skb, field, 0, addresses->difference, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
  }
  __u16 sum = ~fold((__u64)(__u16)~t->checksum_be16 + addresses->difference);
  if (!sum) sum = 0xffff;  // 0 would mean none (RFC 768)
  return bpf_skb_store_bytes(skb, field, &sum, sizeof(sum), BPF_F_RECOMPUTE_CSUM);
}
