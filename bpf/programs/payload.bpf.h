// What an IP header is followed by: options and extension headers to skip, fragments, and any transport.
#pragma once

#include "bpf/programs/work.bpf.h"

#define MOST_EXTENSION_HEADERS 16
#define MOST_SUMMED 16384            // bytes, above every MTU in the map
#define ICMP_ERROR (CLAT_PUNTS + 1)  // no reason to punt: an error that quotes a packet

#define ECHO_REQUEST4 8
#define ECHO_REPLY4 0
#define ECHO_REQUEST6 128
#define ECHO_REPLY6 129

inline_always __u8 counterpart(__u8 protocol) {
  if (protocol == IPPROTO_ICMP) return IPPROTO_ICMPV6;
  return protocol == IPPROTO_ICMPV6 ? IPPROTO_ICMP : protocol;
}
inline_always int is_skipped_extension(__u8 next) {
  return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;
}

// RFC 8200 §4.5.
inline_always void read_fragment_header(const struct fragment_header* header, struct payload* p) {
  const __u16 field = bpf_ntohs(header->offset_and_more);
  p->fragment = field >> 3 | (field & 1 ? MORE_FRAGMENTS : 0);
  p->id_be32 = header->id;
  p->fragmented = 1;
  p->protocol = header->next;
}
// RFC 7915 §4.1.
inline_always void set_fragment_header(struct fragment_header* header, __u8 next, const struct payload* p) {
  *header = (struct fragment_header){
      .next = next,
      .offset_and_more = bpf_htons(p->fragment << 3 | (p->fragment & MORE_FRAGMENTS ? 1 : 0)),
      .id = p->id_be32,
  };
}
inline_always void read_ipv4_fragment(const struct iphdr* ip, struct payload* p) {
  p->fragment = bpf_ntohs(ip->frag_off) & (MORE_FRAGMENTS | FRAGMENT_OFFSET);
  p->fragmented = p->fragment != 0;
  p->id_be32 = bpf_htonl(bpf_ntohs(ip->id));
}

// RFC 7915 §5.1, §5.1.1: a fragment stays one, and may be cut again whatever its size. `size` is that of a packet on
// the wire. False: it is too big.
inline_always int finish_outer_ipv4(struct iphdr* four, const struct clat_interface* uplink, const struct payload* p,
                                    __u32 size) {
  if (p->fragmented) {
    finish_ipv4(four, p->id_be32 >> 16, p->fragment);  // the last two octets
    return 1;
  }
  finish_whole_ipv4(four, size);
  return !exceeds_ipv4_mtu(uplink, size);
}

// RFC 7915 §5.1, §5.1.1. Offsets count from `base`; of the packet, which may be cut as those that errors quote are,
// `end` bytes are there.
inline_always enum clat_punt read_chain(struct __sk_buff* skb, __u32 base, __u32 end, struct payload* p) {
  for (int n = 0; n < MOST_EXTENSION_HEADERS; ++n) {
    const int fragment = p->protocol == IPPROTO_FRAGMENT;
    if (!fragment && !is_skipped_extension(p->protocol)) return NOT_PUNTED;
    union {
      __u8 bytes[8];
      struct fragment_header fragment;
    } header;
    if (bpf_skb_load_bytes(skb, base + p->offset, &header, sizeof(header))) return CLAT_PUNT_MALFORMED;
    const __u32 length = fragment ? sizeof(header) : (header.bytes[1] + 1) * 8;
    if (length > p->size || p->offset + length > end) return CLAT_PUNT_MALFORMED;
    if (p->protocol == IPPROTO_ROUTING && header.bytes[3]) return CLAT_PUNT_HEADERS;  // segments are left
    p->protocol = header.bytes[0];
    p->offset += length;
    p->size -= length;
    if (!fragment) continue;
    read_fragment_header(&header.fragment, p);
    // What may be cut up with the payload cannot be skipped.
    const int hidden =
        is_skipped_extension(p->protocol) || p->protocol == IPPROTO_FRAGMENT || p->protocol == IPPROTO_AH;
    return hidden ? CLAT_PUNT_HEADERS : NOT_PUNTED;
  }
  return CLAT_PUNT_HEADERS;
}

inline_always enum clat_punt inspect_extensions(struct __sk_buff* skb, const __u32 l2, struct payload* p) {
  if (p->protocol == IPPROTO_HOPOPTS && !p->size) return CLAT_PUNT_MALFORMED;  // a jumbogram
  const __u32 end = p->offset + p->size;
  if (skb->len < l2 + end || (skb->len > l2 + end && skb->gso_size)) return CLAT_PUNT_MALFORMED;
  return read_chain(skb, l2, end, p);
}

// 1 or 0, of numbers below 2^31, without a branch: the verifier would follow each in each round of a loop.
inline_always __u32 is_less(__u32 left, __u32 right) {
  __u32 difference = left - right;
  asm volatile("" : "+r"(difference));
  return difference >> 31;
}
inline_always __u32 is_equal(__u32 left, __u32 right) { return is_less(left ^ right, 1); }

// RFC 7915 §4.1: options are left out, but a source route that has not ended is not ours to end. False: one has not, or
// their lengths do not fit.
static __noinline int may_skip_options(struct __sk_buff* skb, const struct work* work, __u32 length) {
  const __u8* options = work->old.four.options;
  __u32 at = 0, ended = 0, bad = 0;
  for (int n = 0; n < MOST_OPTIONS; ++n) {
    at = forget(skb, at);
    const __u32 kind = options[at % OPTION_SLOTS];
    const __u32 size = options[(at + 1) % OPTION_SLOTS];
    const __u32 pointer = options[(at + 2) % OPTION_SLOTS];
    const __u32 is_filler = is_equal(kind, 1);
    const __u32 is_source_route = is_equal(kind, 131) | is_equal(kind, 137);
    ended |= is_equal(kind, 0) | is_less(length, at + 1);
    bad |= ~ended & ~is_filler & (is_less(size, 2) | is_less(length, at + size));
    bad |= ~ended & is_source_route & (is_less(size, 3) | is_less(pointer, size + 1));
    at += is_filler + (1 - is_filler) * size;
    at %= OPTION_SLOTS;
  }
  return !(bad & 1);
}

inline_always enum clat_punt inspect_options(struct __sk_buff* skb, const struct iphdr* ip, struct work* work) {
  struct payload* p = &work->payload;
  const __u32 total = bpf_ntohs(ip->tot_len);
  const __u32 header = ip->ihl * 4;
  if (header > total) return CLAT_PUNT_MALFORMED;
  const __u32 length = header - IPV4_HEADER;
  __u8* options = work->old.four.options;
  __builtin_memset(options, 0, OPTION_SLOTS);
  if (length && bpf_skb_load_bytes(skb, IPV4_HEADER, options, bounded(length, OPTION_SLOTS))) {
    return CLAT_PUNT_MALFORMED;
  }
  const __s64 sum = bpf_csum_diff(NULL, 0, (__be32*)options, OPTION_SLOTS, ipv4_header_sum(ip));
  if (fold(sum) != 0xffff) return CLAT_PUNT_MALFORMED;
  p->protocol = ip->protocol;
  p->offset = header;
  p->size = total - header;
  read_ipv4_fragment(ip, p);
  return NOT_PUNTED;
}

inline_always int is_echo(const enum clat_direction direction, __u8 type) {
  return direction == CLAT_TO_IPV6 ? type == ECHO_REQUEST4 || type == ECHO_REPLY4
                                   : type == ECHO_REQUEST6 || type == ECHO_REPLY6;
}
inline_always int is_icmp_error(const enum clat_direction direction, __u8 type) {
  return direction == CLAT_TO_IPV6 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

inline_always int inspect_icmp(struct __sk_buff* skb, __u32 at, const enum clat_direction direction,
                               const struct payload* p, struct transport* t) {
  __u8 type;
  t->counted_as = CLAT_ICMP;
  // The checksum of a fragmented one cannot follow (RFC 7915 §1.2).
  if (p->fragment) return CLAT_PUNT_FRAGMENT;
  if (p->size < 8 || bpf_skb_load_bytes(skb, at, &type, sizeof(type))) return CLAT_PUNT_MALFORMED;
  if (is_echo(direction, type)) return NOT_PUNTED;
  return is_icmp_error(direction, type) ? ICMP_ERROR : CLAT_PUNT_ICMP;
}

inline_always int inspect_udp(struct __sk_buff* skb, __u32 at, const enum clat_direction direction,
                              const struct payload* p, struct transport* t) {
  struct udphdr udp;
  if (p->size < sizeof(udp) || bpf_skb_load_bytes(skb, at, &udp, sizeof(udp))) return CLAT_PUNT_MALFORMED;
  describe_udp(&udp, t);
  if (!p->fragment && has_bad_udp_length(t, p->size)) return CLAT_PUNT_MALFORMED;
  if (skb->gso_size && is_tunnel(udp.dest)) return CLAT_PUNT_KERNEL;
  if (udp.check) return NOT_PUNTED;
  // To IPv4, 0 says the same. To IPv6 it must be computed, of the whole datagram (RFC 7915 §4.5).
  t->unsummed = direction == CLAT_TO_IPV6;
  if (!t->unsummed) t->checksum_at = 0;
  return t->unsummed && (p->fragment || skb->gso_size) ? CLAT_PUNT_CHECKSUM_ZERO : NOT_PUNTED;
}

// Later fragments that overlap the header which the first one must hold (RFC 3128).
inline_always int overlaps_header(const struct payload* p) {
  const __u32 offset = p->fragment & FRAGMENT_OFFSET;
  return (p->protocol == IPPROTO_TCP && offset <= 2) || (p->protocol == IPPROTO_DCCP && offset <= 1);
}

// NOT_PUNTED, ICMP_ERROR, or why clatd gets it.
inline_always int inspect_payload(struct __sk_buff* skb, const __u32 l2, const enum clat_direction direction,
                                  const struct payload* p, struct transport* t) {
  const __u32 at = l2 + p->offset;
  const __u32 offset = p->fragment & FRAGMENT_OFFSET;
  if (p->fragment & MORE_FRAGMENTS && p->size % 8) return CLAT_PUNT_FRAGMENT;
  if (offset && offset * 8 + p->size > 0xffff - IPV4_HEADER) return CLAT_PUNT_FRAGMENT;
  if (p->fragment && skb->gso_size) return CLAT_PUNT_MALFORMED;
  t->protocol = p->protocol;
  t->counted_as = CLAT_OTHER;
  switch (p->protocol) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_IGMP:
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_DSTOPTS: return CLAT_PUNT_PROTOCOL;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      // Of the other family they mean nothing.
      if (p->protocol != (direction == CLAT_TO_IPV6 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) return CLAT_PUNT_PROTOCOL;
      return inspect_icmp(skb, at, direction, p, t);
  }
  if (offset) {
    if (p->protocol == IPPROTO_TCP) t->counted_as = CLAT_TCP;
    if (p->protocol == IPPROTO_UDP) t->counted_as = CLAT_UDP;
    return overlaps_header(p) ? CLAT_PUNT_FRAGMENT : NOT_PUNTED;
  }
  if (p->protocol == IPPROTO_UDP) return inspect_udp(skb, at, direction, p, t);
  if (p->protocol == IPPROTO_TCP) {
    struct tcphdr tcp;
    if (p->size < sizeof(tcp) || bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp))) return CLAT_PUNT_MALFORMED;
    describe_tcp(&tcp, t);
    return has_bad_tcp_header(skb, t, p->size) ? CLAT_PUNT_MALFORMED : NOT_PUNTED;
  }
  if (skb->gso_size) return CLAT_PUNT_KERNEL;
  if (p->protocol == IPPROTO_DCCP) {
    t->checksum_at = 6;
    return p->size < 12 ? CLAT_PUNT_MALFORMED : NOT_PUNTED;
  }
  if (p->protocol == IPPROTO_UDPLITE) {
    t->checksum_at = 6;
    t->never_zero = 1;
    t->length_be16 = bpf_htons(p->size);
    return p->size < 8 || bpf_skb_load_bytes(skb, at + 6, &t->checksum_be16, 2) ? CLAT_PUNT_MALFORMED : NOT_PUNTED;
  }
  return NOT_PUNTED;  // RFC 7915 §4.1: carried as it is
}

// Folded, of `length` bytes at `at`; negative when they cannot be read, or are too many.
static __noinline __s32 sum_bytes(struct __sk_buff* skb, __u32 at, __u32 length) {
  struct work* work = work_of_this_cpu();
  if (!work) return -1;
  __u32* chunk = work->chunk;
  __u64 sum = 0;
  for (__u32 n = 0; n < MOST_SUMMED / sizeof(work->chunk) && length >= sizeof(work->chunk); ++n) {
    if (bpf_skb_load_bytes(skb, at, chunk, sizeof(work->chunk))) return -1;
    sum = forget(skb, fold(sum + bpf_csum_diff(NULL, 0, chunk, sizeof(work->chunk), 0)));
    at += sizeof(work->chunk);
    length -= sizeof(work->chunk);
  }
  if (!length) return sum;
  if (length > sizeof(work->chunk)) return -1;
  __builtin_memset(chunk, 0, sizeof(work->chunk));
  if (bpf_skb_load_bytes(skb, at, chunk, bounded(length, sizeof(work->chunk)))) return -1;
  return fold(sum + bpf_csum_diff(NULL, 0, chunk, sizeof(work->chunk), 0));
}

// Whether the packet's checksum is unfinished (CHECKSUM_PARTIAL). Only then the helper adds what it would subtract
// else. The field at `field` must be 0, and is again.
inline_always int is_unfinished(struct __sk_buff* skb, __u32 field) {
  const __u16 zero = 0;
  __u16 seen = 1;
  return bpf_l4_csum_replace(skb, field, 0, 1, BPF_F_PSEUDO_HDR) ||
         bpf_skb_load_bytes(skb, field, &seen, sizeof(seen)) ||
         bpf_skb_store_bytes(skb, field, &zero, sizeof(zero), BPF_F_RECOMPUTE_CSUM) || seen == 1;
}

// The checksum of a UDP datagram that has none goes into `t`. False: an inner packet's is unfinished, so that there is
// no sum yet, or the datagram is too long.
inline_always int sum_datagram(struct __sk_buff* skb, const struct payload* p, const struct exchange* addresses,
                               struct transport* t) {
  if (is_unfinished(skb, p->offset + t->checksum_at)) return 0;
  const __s32 sum = sum_bytes(skb, p->offset, bpf_ntohs(t->length_be16));
  if (sum < 0) return 0;
  t->checksum_be16 = ~fold((__u64)addresses->come + sum + t->length_be16 + bpf_htons(IPPROTO_UDP));
  if (!t->checksum_be16) t->checksum_be16 = 0xffff;
  return 1;
}
