// RFC 7915 by the long way: fragments, options, extension headers, ICMP, other transports. Out of line, so that it
// costs TCP and UDP nothing. What stands at no fixed place is read and written by helpers: a packet pointer plus a
// number that the verifier does not know takes CAP_PERFMON.
#pragma once

#include "bpf/programs/icmp_error.bpf.h"

// Moves checksums with their packet's new addresses; the transport is at `at` now.
inline_always long mend_payload(struct __sk_buff* skb, __u32 at, const enum clat_direction direction,
                                const struct transport* t, const struct exchange* addresses, __u32 size) {
  if (t->counted_as == CLAT_ICMP) return mend_echo(skb, at, direction, addresses, size);
  __u16 sum = t->checksum_be16;
  // A checksum of 0 that stays so: UDP-Lite knows none (RFC 3828 §3.1).
  const int is_zero = t->protocol == IPPROTO_UDPLITE && t->checksum_at && !sum && !addresses->difference;
  if (is_zero) sum = 0xffff;
  if (t->unsummed || is_zero) {
    return bpf_skb_store_bytes(skb, at + t->checksum_at, &sum, sizeof(sum), BPF_F_RECOMPUTE_CSUM);
  }
  return mend_checksum(skb, at, t, addresses);
}

// Functions of their own, so that the verifier follows what comes after them once and not for each way through them.
static __noinline int inspect_unusual_ipv6(struct __sk_buff* skb, __u32 l2, struct work* work) {
  const enum clat_punt reason = inspect_extensions(skb, l2, &work->payload);
  if (reason != NOT_PUNTED) return reason;
  return inspect_payload(skb, l2, CLAT_TO_IPV4, &work->payload, &work->transport);
}
static __noinline int inspect_unusual_ipv4(struct __sk_buff* skb, const struct iphdr* ip, struct work* work) {
  const enum clat_punt reason = inspect_options(skb, ip, work);
  if (reason != NOT_PUNTED) return reason;
  return inspect_payload(skb, 0, CLAT_TO_IPV6, &work->payload, &work->transport);
}

static __noinline int unusual_to_ipv4(struct __sk_buff* skb, const struct clat_interface* uplink, struct ipv6hdr* ip,
                                      __u32 own_be32) {
  struct work* work = work_of_this_cpu();
  if (!work) return steer(skb, uplink, CLAT_PUNT_KERNEL);
  const __u32 l2 = link_header(uplink);
  const __u32* source = ip->saddr.in6_u.u6_addr32;
  const int outside = forget(skb, !in_prefix(&uplink->prefix, source));
  const __u32 peer_be32 = outside ? bpf_htonl(ICMP_ERROR_SOURCE) : extract_ipv4(&uplink->prefix, source);
  const __u32 length = bpf_ntohs(ip->payload_len);
  struct payload* p = &work->payload;
  struct transport* t = &work->transport;
  begin(work);
  *p = (struct payload){.offset = IPV6_HEADER, .size = length, .protocol = ip->nexthdr};
  const __u32 reason = forget(skb, inspect_unusual_ipv6(skb, l2, work));
  // clatd would only drop it, and a flood of it would fill its queue. Errors of routers on the way about packets of
  // ours it would not.
  if (outside && (reason != ICMP_ERROR || !may_send_errors(uplink, source) ||
                  !forget(skb, quotes_ours(skb, uplink, work, l2 + p->offset, p->size)))) {
    return drop(skb, uplink, CLAT_DROP_OUTSIDE);
  }
  if (reason != NOT_PUNTED && reason != ICMP_ERROR) return steer(skb, uplink, reason);
  if (ip->hop_limit <= 1) return steer(skb, uplink, CLAT_PUNT_HOP_LIMIT);
  if (!outside && !is_plain_peer(uplink, peer_be32)) return steer(skb, uplink, CLAT_PUNT_ADDRESS);
  --ip->hop_limit;
  if (reason == ICMP_ERROR) return icmp_error_to_ipv4(skb, uplink, work, ip, peer_be32, own_be32);

  struct iphdr* four = &work->new.four.ip;
  *four = ipv4_header(ip, counterpart(p->protocol), p->size, peer_be32, own_be32);
  if (!finish_outer_ipv4(four, uplink, p, wire_size(skb, IPV4_HEADER, t, p->size))) {
    return steer(skb, uplink, CLAT_PUNT_TOO_BIG);
  }
  work->addresses = exchange_addresses(source, ip->daddr.in6_u.u6_addr32, peer_be32, own_be32, CLAT_TO_IPV4);

  // The packet changes from here on.
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  const enum replacement done =
      replace_headers(skb, l2, CLAT_TO_IPV4, IPV6_HEADER + length, p->offset, four, sizeof(*four));
  if (done == REFUSED) return steer(skb, uplink, CLAT_PUNT_KERNEL);
  if (done == BROKEN || mend_payload(skb, l2 + IPV4_HEADER, CLAT_TO_IPV4, t, &work->addresses, p->size)) {
    return drop(skb, uplink, CLAT_DROP_KERNEL);
  }
  count_fast(skb, uplink, CLAT_TO_IPV4, p->offset, p->size, t);
  return bpf_redirect(uplink->peer_ifindex, BPF_F_INGRESS);
}

static __noinline int unusual_to_ipv6(struct __sk_buff* skb, const struct clat_interface* tun, struct iphdr* ip) {
  struct work* work = work_of_this_cpu();
  if (!work) return punt(skb, tun, CLAT_PUNT_KERNEL);
  typeof(work->new.six)* six = &work->new.six;
  __u32* source = six->ip.saddr.in6_u.u6_addr32;
  __u32* destination = six->ip.daddr.in6_u.u6_addr32;
  const __u32 total = bpf_ntohs(ip->tot_len);
  struct payload* p = &work->payload;
  struct transport* t = &work->transport;
  begin(work);
  __u32 reason = forget(skb, inspect_unusual_ipv4(skb, ip, work));
  if (ip->ihl > 5 && reason != CLAT_PUNT_MALFORMED && !may_skip_options(skb, work, ip->ihl * 4 - IPV4_HEADER)) {
    reason = CLAT_PUNT_HEADERS;
  }
  if (reason != NOT_PUNTED && reason != ICMP_ERROR) return punt(skb, tun, reason);
  if (ip->ttl <= 1) return punt(skb, tun, CLAT_PUNT_HOP_LIMIT);
  if (!own_ipv6(tun, ip->saddr, source) || !is_plain_peer(tun, ip->daddr)) return punt(skb, tun, CLAT_PUNT_ADDRESS);
  embed_ipv4(&tun->prefix, ip->daddr, destination);
  --ip->ttl;
  if (reason == ICMP_ERROR) return icmp_error_to_ipv6(skb, tun, work, ip);

  const __u32 after = IPV6_HEADER + (p->fragmented ? sizeof(six->fragment) : 0);
  reason = fits_uplink(tun, wire_size(skb, after, t, p->size), ip->frag_off);
  if (reason != NOT_PUNTED) return punt(skb, tun, reason);
  const __u8 next = counterpart(p->protocol);
  set_ipv6_header(&six->ip, ip, p->fragmented ? IPPROTO_FRAGMENT : next, after - IPV6_HEADER + p->size);
  if (p->fragmented) set_fragment_header(&six->fragment, next, p);
  work->addresses = exchange_addresses(source, destination, ip->saddr, ip->daddr, CLAT_TO_IPV6);
  if (t->unsummed && !sum_datagram(skb, p, &work->addresses, t)) return punt(skb, tun, CLAT_PUNT_CHECKSUM_ZERO);

  // The packet changes from here on.
  const enum replacement done = replace_headers(skb, 0, CLAT_TO_IPV6, total, p->offset, six, after);
  if (done == REFUSED) return punt(skb, tun, CLAT_PUNT_KERNEL);
  if (done == BROKEN || mend_payload(skb, after, CLAT_TO_IPV6, t, &work->addresses, p->size) ||
      prepare_to_leave(skb, tun)) {
    return drop(skb, tun, CLAT_DROP_KERNEL);
  }
  count_fast(skb, tun, CLAT_TO_IPV6, p->offset, p->size, t);
  return leave(skb, tun);
}
