// RFC 7915 for TCP and UDP in whole packets with plain headers; everything else is a reason to punt. A packet is
// looked at to the end before the first byte of it is changed.
#pragma once

#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/packet.bpf.h"

#define NOT_PUNTED CLAT_PUNTS
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define IPV4_FRAGMENTABLE 1260  // RFC 7915 §5.1: results up to here may be fragmented again

struct transport {
  __u32 header_length;
  __u32 checksum_at;  // bytes into the transport header
  enum clat_protocol protocol;
  __u16 udp_checksum_be16;
  __u16 udp_length_be16;
};

// VXLAN, GENEVE. Of a GSO packet inside a UDP tunnel bpf_skb_change_proto converts the inner kind, which breaks it; and
// what kind of GSO a packet has a program cannot see.
inline_always int is_tunnel(__be16 port) {
  return port == bpf_htons(4789) || port == bpf_htons(8472) || port == bpf_htons(6081);
}

// `length` bytes of transport at `offset`. What only translating would break stays out of account where there is none.
inline_always enum clat_punt inspect_transport(struct __sk_buff* skb, __u8 protocol, __u32 offset, __u32 length,
                                               const int translating, struct transport* out) {
  if (protocol == IPPROTO_TCP) {
    const struct tcphdr* tcp;
    if (length < sizeof(*tcp)) return CLAT_PUNT_MALFORMED;
    HEADER_AT(tcp, skb, offset, CLAT_PUNT_MALFORMED);
    out->protocol = CLAT_TCP;
    out->header_length = tcp->doff * 4;
    out->checksum_at = offsetof(struct tcphdr, check);
    if (out->header_length < sizeof(*tcp) || out->header_length > length) return CLAT_PUNT_MALFORMED;
    return NOT_PUNTED;
  }
  if (protocol == IPPROTO_UDP) {
    const struct udphdr* udp;
    if (length < sizeof(*udp)) return CLAT_PUNT_MALFORMED;
    HEADER_AT(udp, skb, offset, CLAT_PUNT_MALFORMED);
    out->protocol = CLAT_UDP;
    out->header_length = sizeof(*udp);
    out->checksum_at = offsetof(struct udphdr, check);
    const __u32 covered = bpf_ntohs(udp->len);
    // Shorter than the packet is legal, and changes nothing: the pseudo-header takes this length in both families.
    if (covered < sizeof(*udp) || covered > length) return CLAT_PUNT_MALFORMED;
    if (!udp->check) return CLAT_PUNT_CHECKSUM_ZERO;
    if (translating && skb->gso_size && is_tunnel(udp->dest)) return CLAT_PUNT_KERNEL;
    out->udp_checksum_be16 = udp->check;
    out->udp_length_be16 = udp->len;
    return NOT_PUNTED;
  }
  if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) return CLAT_PUNT_ICMP;
  return CLAT_PUNT_PROTOCOL;
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

inline_always __u32 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

// How the sum of the addresses changes when they are exchanged; length and protocol stay.
struct exchange {
  __u32 gone;
  __u32 difference;  // 0: neutral
};
inline_always struct exchange exchange_addresses(const __u32* v6_source, const __u32* v6_destination, __u32 v4_source,
                                                 __u32 v4_destination, enum clat_direction direction) {
  __u64 six = 0;
  for (int i = 0; i < 4; ++i) six += (__u64)v6_source[i] + v6_destination[i];
  const __u64 four = (__u64)v4_source + v4_destination;
  const __u32 gone = direction == CLAT_TO_IPV6 ? fold(four) : fold(six);
  const __u32 come = direction == CLAT_TO_IPV6 ? fold(six) : fold(four);
  const __u32 difference = fold(come + (~gone & 0xffff));
  return (struct exchange){.gone = gone, .difference = difference == 0xffff ? 0 : difference};
}

// The helper knows whether the packet's checksum is unfinished (CHECKSUM_PARTIAL), and then adds to it what it would
// subtract else; but it takes it for this header's, and in a UDP tunnel it may be the inner packet's, while the outer
// one is finished. An unfinished one holds the pseudo-header's sum; the odds that a finished one does are 1 in 65535.
inline_always long mend_checksum(struct __sk_buff* skb, __u32 at, const struct transport* t,
                                 const struct exchange* addresses) {
  if (!addresses->difference) return 0;
  const __u32 field = at + t->checksum_at;
  if (t->protocol == CLAT_TCP) return bpf_l4_csum_replace(skb, field, 0, addresses->difference, BPF_F_PSEUDO_HDR);
  const __u32 pseudo_header = fold((__u64)addresses->gone + t->udp_length_be16 + bpf_htons(IPPROTO_UDP));
  if (skb->gso_size || t->udp_checksum_be16 == pseudo_header) {
    return bpf_l4_csum_replace(skb, field, 0, addresses->difference, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
  }
  __u16 sum = ~fold((__u64)(__u16)~t->udp_checksum_be16 + addresses->difference);
  if (!sum) sum = 0xffff;  // 0 would mean none (RFC 768)
  return bpf_skb_store_bytes(skb, field, &sum, sizeof(sum), BPF_F_RECOMPUTE_CSUM);
}

// Ethernet padding and other bytes behind the packet.
inline_always long cut_to(struct __sk_buff* skb, __u32 length) {
  return skb->len > length ? bpf_skb_change_tail(skb, length, 0) : 0;
}

inline_always __u16 ipv4_header_sum(const struct iphdr* ip) {
  const __u32* words = (const __u32*)ip;
  return fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]);
}

// RFC 7915 §5.1. `ip` is the packet's header, its source in the NAT64 prefix.
inline_always enum clat_punt inspect_ipv6(struct __sk_buff* skb, const struct clat_interface* uplink, __u32 l2,
                                          const struct ipv6hdr* ip, struct transport* t) {
  const __u32 length = bpf_ntohs(ip->payload_len);
  const __u32 end = l2 + IPV6_HEADER + length;
  switch (ip->nexthdr) {
    case IPPROTO_FRAGMENT: return CLAT_PUNT_FRAGMENT;
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS: return CLAT_PUNT_HEADERS;
  }
  if (!length || skb->len < end || (skb->len > end && skb->gso_size)) return CLAT_PUNT_MALFORMED;
  const enum clat_punt reason = inspect_transport(skb, ip->nexthdr, l2 + IPV6_HEADER, length, 1, t);
  if (reason != NOT_PUNTED) return reason;
  if (ip->hop_limit <= 1) return CLAT_PUNT_HOP_LIMIT;
  if (!is_plain_peer(uplink, extract_ipv4(uplink, ip->saddr.in6_u.u6_addr32))) return CLAT_PUNT_ADDRESS;
  if (length + IPV4_HEADER > 0xffff || wire_size(skb, IPV6_HEADER, t, length) > uplink->uplink_mtu) {
    return CLAT_PUNT_TOO_BIG;
  }
  return NOT_PUNTED;
}

inline_always int uplink_to_tun(struct __sk_buff* skb, const struct clat_interface* uplink, __u32 l2,
                                const struct ipv6hdr* ip) {
  struct transport t = {};
  const enum clat_punt reason = inspect_ipv6(skb, uplink, l2, ip, &t);
  if (reason != NOT_PUNTED) return steer(skb, uplink, reason);

  const __u32 length = bpf_ntohs(ip->payload_len);
  const int fragmentable = wire_size(skb, IPV4_HEADER, &t, length) <= IPV4_FRAGMENTABLE;
  const __u32 first = bpf_ntohl(*(const __u32*)ip);
  struct iphdr four = {
      .version = 4,
      .ihl = 5,
      .tos = first >> 20,
      .tot_len = bpf_htons(IPV4_HEADER + length),
      .id = fragmentable ? bpf_get_prandom_u32() : 0,
      .frag_off = fragmentable ? 0 : bpf_htons(0x4000),  // DF
      .ttl = ip->hop_limit - 1,
      .protocol = ip->nexthdr,
      .saddr = extract_ipv4(uplink, ip->saddr.in6_u.u6_addr32),
      .daddr = uplink->v4_be32,
  };
  four.check = ~ipv4_header_sum(&four);
  const struct exchange addresses =
      exchange_addresses(ip->saddr.in6_u.u6_addr32, ip->daddr.in6_u.u6_addr32, four.saddr, four.daddr, CLAT_TO_IPV4);

  // The packet changes from here on.
  if (l2 && skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  if (cut_to(skb, l2 + IPV6_HEADER + length)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  // Refused before it does anything.
  if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0)) return steer(skb, uplink, CLAT_PUNT_KERNEL);
  if (bpf_skb_store_bytes(skb, l2, &four, sizeof(four), BPF_F_RECOMPUTE_CSUM) ||
      mend_checksum(skb, l2 + IPV4_HEADER, &t, &addresses)) {
    return drop(skb, uplink, CLAT_DROP_KERNEL);
  }
  struct clat_counters* counters = counters_of(uplink);
  if (counters) {
    count_flow(skb, &counters->fast[CLAT_TO_IPV4][index_of(skb, t.protocol, CLAT_PROTOCOLS)], IPV6_HEADER, length, &t);
  }
  return bpf_redirect(uplink->peer_ifindex, BPF_F_INGRESS);
}

// RFC 7915 §4.1. `ip` is the packet's header.
inline_always enum clat_punt inspect_ipv4(struct __sk_buff* skb, const struct clat_interface* tun,
                                          const struct iphdr* ip, struct transport* t) {
  const __u32 total = bpf_ntohs(ip->tot_len);
  if (ip->version != 4 || ip->ihl < 5) return CLAT_PUNT_MALFORMED;
  if (ip->ihl > 5) return CLAT_PUNT_HEADERS;
  if (total < IPV4_HEADER || skb->len < total || (skb->len > total && skb->gso_size)) return CLAT_PUNT_MALFORMED;
  if (ipv4_header_sum(ip) != 0xffff) return CLAT_PUNT_MALFORMED;
  if (ip->frag_off & bpf_htons(0x3fff)) return CLAT_PUNT_FRAGMENT;
  const __u32 length = total - IPV4_HEADER;
  const enum clat_punt reason = inspect_transport(skb, ip->protocol, IPV4_HEADER, length, 1, t);
  if (reason != NOT_PUNTED) return reason;
  if (ip->ttl <= 1) return CLAT_PUNT_HOP_LIMIT;
  if (ip->saddr != tun->v4_be32 || !is_plain_peer(tun, ip->daddr)) return CLAT_PUNT_ADDRESS;
  const __u32 size = wire_size(skb, IPV6_HEADER, t, length);
  if (size > tun->uplink_mtu) return CLAT_PUNT_TOO_BIG;
  if (size > tun->lowest_ipv6_mtu && !(ip->frag_off & bpf_htons(0x4000))) return CLAT_PUNT_TO_FRAGMENT;
  return NOT_PUNTED;
}

inline_always int tun_to_uplink(struct __sk_buff* skb, const struct clat_interface* tun, const struct iphdr* ip) {
  struct transport t = {};
  const enum clat_punt reason = inspect_ipv4(skb, tun, ip, &t);
  if (reason != NOT_PUNTED) {
    count_punt(skb, tun, CLAT_TO_IPV6, reason);
    return PASS;
  }

  const __u32 total = bpf_ntohs(ip->tot_len);
  struct ipv6hdr six = {
      .payload_len = bpf_htons(total - IPV4_HEADER),
      .nexthdr = ip->protocol,
      .hop_limit = ip->ttl - 1,
  };
  *(__u32*)&six = bpf_htonl(6u << 28 | (__u32)ip->tos << 20);
  __u32* source = six.saddr.in6_u.u6_addr32;
  for (int i = 0; i < 4; ++i) source[i] = tun->v6_be32[i];
  embed_ipv4(tun, ip->daddr, six.daddr.in6_u.u6_addr32);
  const struct exchange addresses =
      exchange_addresses(source, six.daddr.in6_u.u6_addr32, ip->saddr, ip->daddr, CLAT_TO_IPV6);

  // The packet changes from here on.
  if (cut_to(skb, total)) return drop(skb, tun, CLAT_DROP_KERNEL);
  // Refused before it does anything.
  if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0)) {
    count_punt(skb, tun, CLAT_TO_IPV6, CLAT_PUNT_KERNEL);
    return PASS;
  }
  if (bpf_skb_store_bytes(skb, 0, &six, sizeof(six), BPF_F_RECOMPUTE_CSUM) ||
      mend_checksum(skb, IPV6_HEADER, &t, &addresses) || prepare_to_leave(skb, tun)) {
    return drop(skb, tun, CLAT_DROP_KERNEL);
  }
  struct clat_counters* counters = counters_of(tun);
  if (counters) {
    count_flow(skb, &counters->fast[CLAT_TO_IPV6][index_of(skb, t.protocol, CLAT_PROTOCOLS)], IPV4_HEADER,
               total - IPV4_HEADER, &t);
  }
  return leave(skb, tun);
}
