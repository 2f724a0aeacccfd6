// RFC 7915 by the short way: TCP and UDP in whole packets with plain headers, which is nearly all there is. The rest
// takes the long way of unusual.bpf.h. A packet is looked at to the end before the first byte of it is changed.
#pragma once

#include "bpf/programs/shortcut.bpf.h"
#include "bpf/programs/unusual.bpf.h"

#define UNUSUAL (CLAT_PUNTS + 1)  // no reason to punt, but none of the short way

// `length` bytes of transport at `offset`.
inline_always int inspect_transport(struct __sk_buff* skb, __u8 protocol, __u32 offset, __u32 length,
                                    struct transport* out) {
  if (protocol == IPPROTO_TCP) {
    const struct tcphdr* tcp;
    if (length < sizeof(*tcp)) return CLAT_PUNT_MALFORMED;
    HEADER_AT(tcp, skb, offset, CLAT_PUNT_MALFORMED);
    describe_tcp(tcp, out);
    return has_bad_tcp_header(skb, out, length) ? CLAT_PUNT_MALFORMED : NOT_PUNTED;
  }
  if (protocol != IPPROTO_UDP) return UNUSUAL;
  const struct udphdr* udp;
  if (length < sizeof(*udp)) return CLAT_PUNT_MALFORMED;
  HEADER_AT(udp, skb, offset, CLAT_PUNT_MALFORMED);
  describe_udp(udp, out);
  if (has_bad_udp_length(out, length)) return CLAT_PUNT_MALFORMED;
  if (!udp->check) return UNUSUAL;
  return skb->gso_size && is_tunnel(udp->dest) ? CLAT_PUNT_KERNEL : NOT_PUNTED;
}

// RFC 7915 §5.1. `ip` is the packet's header, `peer_be32` what its source stands for.
inline_always int inspect_ipv6(struct __sk_buff* skb, const struct clat_interface* uplink, const __u32 l2,
                               const struct ipv6hdr* ip, __u32 peer_be32, struct transport* t) {
  const __u32 length = bpf_ntohs(ip->payload_len);
  const __u32 end = l2 + IPV6_HEADER + length;
  if (skb->len < end || (skb->len > end && skb->gso_size)) return CLAT_PUNT_MALFORMED;
  const int reason = inspect_transport(skb, ip->nexthdr, l2 + IPV6_HEADER, length, t);
  if (reason != NOT_PUNTED) return reason;
  if (ip->hop_limit <= 1) return CLAT_PUNT_HOP_LIMIT;
  if (!is_plain_peer(uplink, peer_be32)) return CLAT_PUNT_ADDRESS;
  return exceeds_ipv4_mtu(uplink, wire_size(skb, IPV4_HEADER, t, length)) ? CLAT_PUNT_TOO_BIG : NOT_PUNTED;
}

// `own_be32` is what the destination stands for.
inline_always int uplink_to_tun(struct __sk_buff* skb, const struct clat_interface* uplink, const __u32 l2,
                                struct ipv6hdr* ip, __u32 own_be32) {
  struct transport t = {};
  const __u32* source = ip->saddr.in6_u.u6_addr32;
  const __u32 peer_be32 = extract_ipv4(&uplink->prefix, source);
  const int reason = in_prefix(&uplink->prefix, source) ? inspect_ipv6(skb, uplink, l2, ip, peer_be32, &t) : UNUSUAL;
  if (reason == UNUSUAL) return unusual_to_ipv4(skb, uplink, ip, own_be32);
  if (reason != NOT_PUNTED) return steer(skb, uplink, reason);
  if (uplink->flags & CLAT_FLAG_SHORTCUT) {
    const int done = l2 ? ethernet_to_lan(skb, uplink, ip, own_be32, &t) : raw_ip_to_lan(skb, uplink, ip, own_be32, &t);
    if (done != LONG_WAY) return done;
  }

  const __u32 length = bpf_ntohs(ip->payload_len);
  --ip->hop_limit;
  struct iphdr four = ipv4_header(ip, ip->nexthdr, length, peer_be32, own_be32);
  finish_whole_ipv4(&four, wire_size(skb, IPV4_HEADER, &t, length));
  const struct exchange addresses =
      exchange_addresses(source, ip->daddr.in6_u.u6_addr32, peer_be32, own_be32, CLAT_TO_IPV4);

  // The packet changes from here on.
  if (l2 && skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  const enum replacement done =
      replace_headers(skb, l2, CLAT_TO_IPV4, IPV6_HEADER + length, IPV6_HEADER, &four, sizeof(four));
  if (done == REFUSED) return steer(skb, uplink, CLAT_PUNT_KERNEL);
  if (done == BROKEN || mend_checksum(skb, l2 + IPV4_HEADER, &t, &addresses)) {
    return drop(skb, uplink, CLAT_DROP_KERNEL);
  }
  count_fast(skb, uplink, CLAT_TO_IPV4, IPV6_HEADER, length, &t);
  return bpf_redirect(uplink->peer_ifindex, BPF_F_INGRESS);
}

// RFC 7915 §4.1. `ip` is the packet's header.
inline_always int inspect_ipv4(struct __sk_buff* skb, const struct clat_interface* tun, const __u32 l2,
                               const struct iphdr* ip, struct transport* t) {
  const __u32 total = bpf_ntohs(ip->tot_len);
  if (ip->version != 4 || ip->ihl < 5) return CLAT_PUNT_MALFORMED;
  const __u32 end = l2 + total;
  if (total < IPV4_HEADER || skb->len < end || (skb->len > end && skb->gso_size)) return CLAT_PUNT_MALFORMED;
  if (ip->ihl > 5 || ip->frag_off & bpf_htons(MORE_FRAGMENTS | FRAGMENT_OFFSET)) return UNUSUAL;
  if (ipv4_header_sum(ip) != 0xffff) return CLAT_PUNT_MALFORMED;
  const __u32 length = total - IPV4_HEADER;
  const int reason = inspect_transport(skb, ip->protocol, l2 + IPV4_HEADER, length, t);
  if (reason != NOT_PUNTED) return reason;
  if (ip->ttl <= 1) return CLAT_PUNT_HOP_LIMIT;
  if (!is_plain_peer(tun, ip->daddr)) return CLAT_PUNT_ADDRESS;
  return fits_uplink(tun, wire_size(skb, IPV6_HEADER, t, length), ip->frag_off);
}

inline_always int tun_to_uplink(struct __sk_buff* skb, const struct clat_interface* tun, struct iphdr* ip) {
  struct transport t = {};
  struct ipv6hdr six;
  __u32* source = six.saddr.in6_u.u6_addr32;
  __u32* destination = six.daddr.in6_u.u6_addr32;
  int reason = inspect_ipv4(skb, tun, 0, ip, &t);
  if (reason == UNUSUAL) return unusual_to_ipv6(skb, tun, ip);
  if (reason == NOT_PUNTED && !own_ipv6(tun, ip->saddr, source)) reason = CLAT_PUNT_ADDRESS;
  if (reason != NOT_PUNTED) return punt(skb, tun, reason);

  const __u32 total = bpf_ntohs(ip->tot_len);
  const __u32 length = total - IPV4_HEADER;
  --ip->ttl;
  set_ipv6_header(&six, ip, ip->protocol, length);
  embed_ipv4(&tun->prefix, ip->daddr, destination);
  const struct exchange addresses = exchange_addresses(source, destination, ip->saddr, ip->daddr, CLAT_TO_IPV6);

  // The packet changes from here on.
  const enum replacement done = replace_headers(skb, 0, CLAT_TO_IPV6, total, IPV4_HEADER, &six, sizeof(six));
  if (done == REFUSED) return punt(skb, tun, CLAT_PUNT_KERNEL);
  if (done == BROKEN || mend_checksum(skb, IPV6_HEADER, &t, &addresses) || prepare_to_leave(skb, tun)) {
    return drop(skb, tun, CLAT_DROP_KERNEL);
  }
  count_fast(skb, tun, CLAT_TO_IPV6, IPV4_HEADER, length, &t);
  return leave(skb, tun);
}

// Of a flow that is known to be let through. Forwarding and the CLAT are a hop each.
inline_always int lan_to_uplink(struct __sk_buff* skb) {
  struct iphdr ip;
  struct clat_flow_key key;
  if (!read_flow(skb, &ip, &key)) return PASS;
  struct clat_shortcut* flow = bpf_map_lookup_elem(&clat_shortcuts, &key);
  struct clat_shortcut copy;
  if (!flow || !may_be_taken(skb, flow, &key, &copy, ETH_HLEN + IPV4_HEADER)) return PASS;
  const __u32 ifindex = copy.tun;
  const struct clat_interface* tun = bpf_map_lookup_elem(&clat_interfaces, &ifindex);
  if (!tun || !(tun->flags & CLAT_FLAG_SHORTCUT) || ip.ttl <= HOPS) return PASS;
  struct transport t = {};
  struct ipv6hdr six;
  __u32* source = six.saddr.in6_u.u6_addr32;
  __u32* destination = six.daddr.in6_u.u6_addr32;
  if (inspect_ipv4(skb, tun, ETH_HLEN, &ip, &t) != NOT_PUNTED) return PASS;
  if (!own_ipv6(tun, copy.back.destination_be32, source)) return PASS;

  const __u32 total = bpf_ntohs(ip.tot_len);
  const __u32 length = total - IPV4_HEADER;
  // The tun has room left for a Fragment header.
  if (wire_size(skb, IPV6_HEADER + FRAGMENT_HEADER, &t, length) > tun->uplink_mtu) return PASS;
  ip.ttl -= HOPS;
  set_ipv6_header(&six, &ip, ip.protocol, length);
  embed_ipv4(&tun->prefix, ip.daddr, destination);
  const struct exchange addresses = exchange_addresses(source, destination, ip.saddr, ip.daddr, CLAT_TO_IPV6);
  const struct port_change port = {0, key.source_port_be16, copy.back.destination_port_be16};

  // The packet changes from here on.
  const enum replacement done = replace_headers(skb, ETH_HLEN, CLAT_TO_IPV6, total, IPV4_HEADER, &six, sizeof(six));
  if (done == REFUSED) return PASS;
  if (done == BROKEN || mend_port(skb, ETH_HLEN + IPV6_HEADER, &t, &addresses, &port)) {
    return drop(skb, tun, CLAT_DROP_KERNEL);
  }
  count_shortcut(skb, tun, CLAT_TO_IPV6, flow, IPV4_HEADER, length, &t);
  return leave(skb, tun);
}
