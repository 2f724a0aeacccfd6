// ICMP in both families: echoes, and errors with the packet that they quote (RFC 7915 §4.2, §4.3, §5.2, §5.3).
// Checksums change by what changes, so a wrong one stays wrong.
#pragma once

#include "bpf/payload.bpf.h"

#define MINIMUM_MTU 1280       // RFC 8200 §5; no ICMPv6 error is larger (RFC 4443 §2.4 (c))
#define SMALLEST_EXTENDED 128  // bytes quoted in front of an extension (RFC 4884 §4)

inline_always __u8 echo_counterpart(__u8 type) {
  switch (type) {
    case ECHO_REQUEST4: return ECHO_REQUEST6;
    case ECHO_REPLY4: return ECHO_REPLY6;
    case ECHO_REQUEST6: return ECHO_REQUEST4;
    default: return ECHO_REPLY4;
  }
}

// ICMPv6 sums a pseudo-header (RFC 4443 §2.3), ICMPv4 none. `six` sums the IPv6 addresses, `size` is the message's.
inline_always __u32 pseudo_header_change(const enum clat_direction direction, __u32 six, __u32 size) {
  const __u64 pseudo = (__u64)six + bpf_htons(size) + bpf_htons(IPPROTO_ICMPV6);
  return direction == CLAT_TO_IPV6 ? fold(pseudo) : minus(pseudo);
}
inline_always __u32 sum_of_ipv6(const enum clat_direction direction, const struct exchange* addresses) {
  return direction == CLAT_TO_IPV6 ? addresses->come : addresses->gone;
}

// The echo at `at`, of `size` bytes. An unfinished checksum holds the pseudo-header's sum alone.
inline_always long mend_echo(struct __sk_buff* skb, __u32 at, const enum clat_direction direction,
                             const struct exchange* addresses, __u32 size) {
  union {
    __u8 type;
    __u16 word;
  } was, is;
  if (bpf_skb_load_bytes(skb, at, &was, sizeof(was))) return -1;
  is = was;
  is.type = echo_counterpart(was.type);
  const __u32 pseudo = pseudo_header_change(direction, sum_of_ipv6(direction, addresses), size);
  const __u32 field = at + offsetof(struct icmp_header, checksum);
  if (neutral_is_zero(fold((__u64)pseudo + is.word + minus(was.word))) &&
      (bpf_l4_csum_replace(skb, field, 0, pseudo, BPF_F_PSEUDO_HDR) ||
       bpf_l4_csum_replace(skb, field, was.word, is.word, sizeof(is.word)))) {
    return -1;
  }
  return bpf_skb_store_bytes(skb, at, &is.type, sizeof(is.type), 0);
}

inline_always __u16 moved_checksum(__u16 checksum, __u32 change) {
  return neutral_is_zero(change) ? ~fold((__u64)(__u16)~checksum + change) : checksum;
}

// `quoted` bytes at `at` of the transport of a packet that an error quotes. NOT_PUNTED or why not.
inline_always enum clat_punt inspect_quoted(struct __sk_buff* skb, __u32 at, __u32 quoted,
                                            const enum clat_direction direction, struct work* work) {
  const struct payload* p = &work->inner;
  struct patch* out = &work->patch;
  __u32 change = work->addresses.difference;
  // Bytes behind the packet's end are padding (RFC 4884 §5).
  if (quoted > p->size) quoted = p->size;
  __u32 checksum_at = 0;
  switch (p->protocol) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_IGMP:
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_DSTOPTS: return CLAT_PUNT_ICMP;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: {
      if (p->protocol != (direction == CLAT_TO_IPV6 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) return CLAT_PUNT_ICMP;
      union {
        __u8 type;
        __u16 word;
      } was = {}, is;
      if (!quoted || p->fragment || bpf_skb_load_bytes(skb, at, &was.type, sizeof(was.type))) return CLAT_PUNT_ICMP;
      if (!is_echo(direction, was.type)) return CLAT_PUNT_ICMP;
      is.word = 0;
      is.type = echo_counterpart(was.type);
      out->type = is.type;
      out->has_type = 1;
      const __u32 type_change = fold((__u64)is.word + minus(was.word));  // the code stays
      out->change = fold((__u64)out->change + type_change);
      change =
          fold((__u64)type_change + pseudo_header_change(direction, sum_of_ipv6(direction, &work->addresses), p->size));
      checksum_at = 2;
      break;
    }
    case IPPROTO_TCP: checksum_at = 16; break;
    case IPPROTO_UDP:
    case IPPROTO_DCCP:
    case IPPROTO_UDPLITE: checksum_at = 6; break;
  }
  change = forget(skb, change);
  checksum_at = forget(skb, checksum_at);
  if (!checksum_at || p->fragment & FRAGMENT_OFFSET || quoted < checksum_at + 2) return NOT_PUNTED;
  __u16 was;
  if (bpf_skb_load_bytes(skb, at + checksum_at, &was, sizeof(was))) return CLAT_PUNT_MALFORMED;
  if (p->protocol == IPPROTO_UDP && !was) return NOT_PUNTED;
  out->checksum = moved_checksum(was, change);
  if (!out->checksum && (p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_UDPLITE)) out->checksum = 0xffff;
  out->checksum_at = checksum_at;
  out->change = fold((__u64)out->change + out->checksum + minus(was));
  return NOT_PUNTED;
}

// Functions of their own for the verifier, as in unusual.bpf.h.
static __noinline int read_quoted_chain(struct __sk_buff* skb, __u32 at, __u32 quoted, struct work* work) {
  return read_chain(skb, at, quoted, &work->inner);
}
static __noinline int inspect_quoted_ipv6(struct __sk_buff* skb, __u32 at, __u32 quoted, struct work* work) {
  return inspect_quoted(skb, at, quoted, CLAT_TO_IPV4, work);
}
static __noinline int inspect_quoted_ipv4(struct __sk_buff* skb, __u32 at, __u32 quoted, struct work* work) {
  return inspect_quoted(skb, at, quoted, CLAT_TO_IPV6, work);
}

inline_always long store_patch(struct __sk_buff* skb, __u32 at, const struct patch* patch) {
  if (patch->has_type && bpf_skb_store_bytes(skb, at, &patch->type, sizeof(patch->type), BPF_F_RECOMPUTE_CSUM))
    return -1;
  if (!patch->checksum_at) return 0;
  return bpf_skb_store_bytes(skb, at + patch->checksum_at, &patch->checksum, sizeof(patch->checksum),
                             BPF_F_RECOMPUTE_CSUM);
}

// RFC 7915 §5.2, Figure 6; negative: no counterpart.
inline_always int pointer_to_ipv4(__u32 pointer) {
  if (pointer < 2) return pointer;
  switch (pointer) {
    case 4:
    case 5: return 2;
    case 6: return 9;
    case 7: return 8;
  }
  if (pointer >= 8 && pointer < 24) return 12;
  return pointer >= 24 && pointer < 40 ? 16 : -1;
}
// §4.2, Figure 3.
inline_always int pointer_to_ipv6(__u8 pointer) {
  switch (pointer) {
    case 0:
    case 1: return pointer;
    case 2:
    case 3: return 4;
    case 8: return 7;
    case 9: return 6;
  }
  if (pointer >= 12 && pointer < 16) return 8;
  return pointer >= 16 && pointer < 20 ? 24 : -1;
}

// RFC 7915 §5.2. `overhead`: of the quoted packet's headers. False: no counterpart.
inline_always int error_to_ipv4(const struct icmp_header* six, const struct clat_interface* uplink, __u32 overhead,
                                struct icmp_header* four) {
  *four = (struct icmp_header){.type = 3};
  switch (six->type) {
    case 1:
      if (six->code > 4) return 0;
      four->code = six->code == 1 ? 10 : six->code == 4 ? 3 : 1;
      return 1;
    case 2: {
      __u32 mtu = bpf_ntohl(six->rest);
      if (mtu < MINIMUM_MTU) mtu = MINIMUM_MTU;
      if (mtu > uplink->uplink_mtu) mtu = uplink->uplink_mtu;
      mtu -= overhead;
      four->code = 4;
      four->rest = bpf_htonl(mtu < uplink->ipv4_mtu ? mtu : uplink->ipv4_mtu);
      return 1;
    }
    case 3:
      four->type = 11;
      four->code = six->code;
      return six->code <= 1;
    default:
      if (six->code == 1) {
        four->code = 2;
        return 1;
      }
      const int pointer = pointer_to_ipv4(bpf_ntohl(six->rest));
      four->type = 12;
      four->rest = bpf_htonl((__u32)pointer << 24);
      return six->code == 0 && pointer >= 0;
  }
}

// RFC 1191 §7.1: the next hop's MTU, where a router does not tell; none below is IPv6's.
inline_always __u32 plateau_below(__u32 total) {
  if (total > 32000) return 32000;
  if (total > 17914) return 17914;
  if (total > 8166) return 8166;
  if (total > 4352) return 4352;
  if (total > 2002) return 2002;
  return total > 1492 ? 1492 : 0;
}

// RFC 7915 §4.2. `total`: the quoted packet's length. False: no counterpart.
inline_always int error_to_ipv6(const struct icmp_header* four, const struct clat_interface* tun, __u32 total,
                                struct icmp_header* six) {
  *six = (struct icmp_header){.type = 1};
  const __u8 code = four->code;
  switch (four->type) {
    case 3:
      switch (code) {
        case 2:
          six->type = 4;
          six->code = 1;
          six->rest = bpf_htonl(offsetof(struct ipv6hdr, nexthdr));
          return 1;
        case 3: six->code = 4; return 1;
        case 4: {
          __u32 mtu = bpf_ntohl(four->rest) & 0xffff;
          mtu = (mtu ? mtu : plateau_below(total)) + IPV6_HEADER - IPV4_HEADER;
          if (mtu > tun->uplink_mtu) mtu = tun->uplink_mtu;
          if (mtu > tun->ipv4_mtu + IPV6_HEADER - IPV4_HEADER) mtu = tun->ipv4_mtu + IPV6_HEADER - IPV4_HEADER;
          six->type = 2;
          six->rest = bpf_htonl(mtu < MINIMUM_MTU ? MINIMUM_MTU : mtu);
          return 1;
        }
        case 9:
        case 10:
        case 13:
        case 15: six->code = 1; return 1;
      }
      return code < 13;
    case 11:
      six->type = 3;
      six->code = code;
      return code <= 1;
    default: {
      const int pointer = pointer_to_ipv6(bpf_ntohl(four->rest) >> 24);
      six->type = 4;
      six->rest = bpf_htonl(pointer);
      return (code == 0 || code == 2) && pointer >= 0;
    }
  }
}

// RFC 4884: whether something follows the quoted packet, which then cannot grow or shrink alone. `attribute`: bytes.
inline_always int is_extended(__u32 attribute, __u32 size) {
  return attribute >= SMALLEST_EXTENDED && attribute < size - sizeof(struct icmp_header);
}

// Whether an error from outside the NAT64 prefix is one of a router's on the way, to be shown as from 192.0.0.8.
inline_always int may_send_errors(const struct clat_interface* uplink, const __u32* source) {
  if (!source[0] && !source[1]) return 0;
  return *(const __u8*)source != 0xff && !own_ipv4(uplink, source);
}

// RFC 7915 §5.2, §5.3: the payload is an error for `own_be32`, `ip` its header, from `peer_be32`.
inline_always int icmp_error_to_ipv4(struct __sk_buff* skb, const struct clat_interface* uplink, struct work* work,
                                     const struct ipv6hdr* ip, __u32 peer_be32, __u32 own_be32) {
  const __u32 l2 = link_header(uplink);
  const struct payload* p = &work->payload;
  struct payload* inner = &work->inner;
  typeof(work->old.six)* old = &work->old.six;
  typeof(work->new.four)* new = &work->new.four;
  const __u32 at = l2 + p->offset;
  __u32 quote = sizeof(*old);
  if (p->size < quote || bpf_skb_load_bytes(skb, at, old, sizeof(*old)) || old->ip.version != 6) {
    return steer(skb, uplink, CLAT_PUNT_ICMP);
  }
  *inner = (struct payload){.size = bpf_ntohs(old->ip.payload_len), .protocol = old->ip.nexthdr};
  if (read_quoted_chain(skb, at + quote, p->size - quote, work) != NOT_PUNTED) {
    return steer(skb, uplink, CLAT_PUNT_ICMP);
  }
  const __s32 chain = sum_bytes(skb, at + quote, inner->offset);
  if (chain < 0) return steer(skb, uplink, CLAT_PUNT_ICMP);
  work->patch.change = minus(chain);
  quote += inner->offset;
  const __u32 overhead =
      forget(skb, IPV6_HEADER - IPV4_HEADER + (inner->fragmented ? sizeof(struct fragment_header) : 0));
  const int has_attribute = old->icmp.type == 1 || old->icmp.type == 3;
  if (!forget(skb, error_to_ipv4(&old->icmp, uplink, overhead, &new->icmp)) ||
      (has_attribute && is_extended((bpf_ntohl(old->icmp.rest) >> 24) * 8, p->size))) {
    return steer(skb, uplink, CLAT_PUNT_ICMP);
  }
  // Only what quotes a packet of ours tells us something.
  const __u32* inner_source = old->ip.saddr.in6_u.u6_addr32;
  const __u32* inner_destination = old->ip.daddr.in6_u.u6_addr32;
  const __u32 inner_own = own_ipv4(uplink, inner_source);
  const __u32 inner_peer = extract_ipv4(&uplink->prefix, inner_destination);
  if (!inner_own || !in_prefix(&uplink->prefix, inner_destination) || !is_plain_peer(uplink, inner_peer) ||
      inner->size > 0xffff - IPV4_HEADER) {
    return steer(skb, uplink, CLAT_PUNT_ICMP);
  }
  work->addresses = exchange_addresses(inner_source, inner_destination, inner_own, inner_peer, CLAT_TO_IPV4);
  const __u32 reason = forget(skb, inspect_quoted_ipv6(skb, at + quote, p->size - quote, work));
  if (reason != NOT_PUNTED) return steer(skb, uplink, reason);
  new->inner = ipv4_header(&old->ip, counterpart(inner->protocol), inner->size, inner_own, inner_peer);
  if (inner->fragmented) {
    finish_ipv4(&new->inner, inner->id_be32 >> 16, inner->fragment);
  } else {
    finish_ipv4(&new->inner, 0, inner->size + IPV4_HEADER > IPV4_FRAGMENTABLE ? DONT_FRAGMENT : 0);
  }

  const __u32 size = p->size - quote + sizeof(new->icmp) + sizeof(new->inner);
  const __u32 sum6 = fold(sum_of_words(ip->saddr.in6_u.u6_addr32, 4) + sum_of_words(ip->daddr.in6_u.u6_addr32, 4));
  const __u16 checksum = old->icmp.checksum;
  old->icmp.checksum = 0;
  const __s64 change = bpf_csum_diff((__be32*)old, sizeof(*old), (__be32*)&new->icmp, sizeof(*new) - IPV4_HEADER,
                                     work->patch.change + pseudo_header_change(CLAT_TO_IPV4, sum6, p->size));
  new->icmp.checksum = moved_checksum(checksum, fold(change));
  new->ip = ipv4_header(ip, IPPROTO_ICMP, size, peer_be32, own_be32);
  if (!finish_outer_ipv4(&new->ip, uplink, p, size + IPV4_HEADER)) return steer(skb, uplink, CLAT_PUNT_TOO_BIG);

  // The packet changes from here on.
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  const enum replacement done =
      replace_headers(skb, l2, CLAT_TO_IPV4, p->offset + p->size, p->offset + quote, new, sizeof(*new));
  if (done == REFUSED) return steer(skb, uplink, CLAT_PUNT_KERNEL);
  if (done == BROKEN || store_patch(skb, l2 + sizeof(*new), &work->patch)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  count_fast(skb, uplink, CLAT_TO_IPV4, p->offset, p->size, &work->transport);
  return bpf_redirect(uplink->peer_ifindex, BPF_F_INGRESS);
}

// RFC 7915 §4.2, §4.3: the payload is an error of ours, `ip` its header; the one to come has its addresses already.
inline_always int icmp_error_to_ipv6(struct __sk_buff* skb, const struct clat_interface* tun, struct work* work,
                                     const struct iphdr* ip) {
  const struct payload* p = &work->payload;
  struct payload* inner = &work->inner;
  typeof(work->old.four)* old = &work->old.four;
  typeof(work->new.six)* new = &work->new.six;
  __u32 quote = offsetof(typeof(*old), options);
  __builtin_memset(old, 0, sizeof(*old));
  if (p->size < quote || bpf_skb_load_bytes(skb, p->offset, old, offsetof(typeof(*old), options)) ||
      old->ip.version != 4 || old->ip.ihl < 5) {
    return punt(skb, tun, CLAT_PUNT_ICMP);
  }
  const __u32 header = old->ip.ihl * 4;
  const __u32 total = bpf_ntohs(old->ip.tot_len);
  const __u32 options = header - IPV4_HEADER;
  if (options) {
    const __u32 options_at = p->offset + quote;
    quote += options;
    if (p->size < quote) return punt(skb, tun, CLAT_PUNT_ICMP);
    if (bpf_skb_load_bytes(skb, options_at, old->options, bounded(options, OPTION_SLOTS)) ||
        !may_skip_options(skb, work, options)) {
      return punt(skb, tun, CLAT_PUNT_ICMP);
    }
  }
  if (total < header || !forget(skb, error_to_ipv6(&old->icmp, tun, total, &new->icmp)) ||
      is_extended((bpf_ntohl(old->icmp.rest) >> 16 & 0xff) * 4, p->size)) {
    return punt(skb, tun, CLAT_PUNT_ICMP);
  }
  // Only what quotes a packet for us tells its sender something.
  __u32* inner_source = new->inner.saddr.in6_u.u6_addr32;
  __u32* inner_destination = new->inner.daddr.in6_u.u6_addr32;
  if (!own_ipv6(tun, old->ip.daddr, inner_destination) || !is_plain_peer(tun, old->ip.saddr)) {
    return punt(skb, tun, CLAT_PUNT_ICMP);
  }
  embed_ipv4(&tun->prefix, old->ip.saddr, inner_source);
  *inner = (struct payload){.size = total - header, .protocol = old->ip.protocol};
  read_ipv4_fragment(&old->ip, inner);
  work->addresses = exchange_addresses(inner_source, inner_destination, old->ip.saddr, old->ip.daddr, CLAT_TO_IPV6);
  const __u32 reason = forget(skb, inspect_quoted_ipv4(skb, p->offset + quote, p->size - quote, work));
  if (reason != NOT_PUNTED) return punt(skb, tun, reason);
  const __u8 next = counterpart(inner->protocol);
  __u32 after = offsetof(typeof(*new), inner_fragment);
  __builtin_memset(&new->inner_fragment, 0, sizeof(new->inner_fragment));
  if (inner->fragmented) {
    after += sizeof(new->inner_fragment);
    set_fragment_header(&new->inner_fragment, next, inner);
  }
  set_ipv6_header(&new->inner, &old->ip, inner->fragmented ? IPPROTO_FRAGMENT : next,
                  inner->size + after - offsetof(typeof(*new), inner_fragment));

  // RFC 4443 §2.4 (c).
  const __u32 whole = p->size - quote + after;
  const __u32 cut = whole > MINIMUM_MTU ? whole - MINIMUM_MTU : 0;
  const __u32 size = whole - cut - IPV6_HEADER;
  const __u32 end = p->offset + p->size - cut;
  __u32 rest = 0;
  if (cut) {
    const __s32 sum = sum_bytes(skb, end, cut);
    if (sum < 0) return punt(skb, tun, CLAT_PUNT_TOO_BIG);
    rest = minus(sum);
  }
  const __u32 sum6 =
      fold(sum_of_words(new->ip.saddr.in6_u.u6_addr32, 4) + sum_of_words(new->ip.daddr.in6_u.u6_addr32, 4));
  const __u16 checksum = old->icmp.checksum;
  old->icmp.checksum = 0;
  const __s64 change = bpf_csum_diff((__be32*)old, sizeof(*old), (__be32*)&new->icmp, sizeof(*new) - IPV6_HEADER,
                                     work->patch.change + rest + pseudo_header_change(CLAT_TO_IPV6, sum6, size));
  new->icmp.checksum = moved_checksum(checksum, fold(change));
  set_ipv6_header(&new->ip, ip, IPPROTO_ICMPV6, size);

  // The packet changes from here on.
  const enum replacement done = replace_headers(skb, 0, CLAT_TO_IPV6, end, p->offset + quote, new, after);
  if (done == REFUSED) return punt(skb, tun, CLAT_PUNT_KERNEL);
  if (done == BROKEN || store_patch(skb, after, &work->patch) || prepare_to_leave(skb, tun)) {
    return drop(skb, tun, CLAT_DROP_KERNEL);
  }
  count_fast(skb, tun, CLAT_TO_IPV6, p->offset, p->size, &work->transport);
  return leave(skb, tun);
}
