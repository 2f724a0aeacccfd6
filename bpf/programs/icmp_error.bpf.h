// ICMP errors with the packet that they quote, in both families (RFC 7915 §4.3, §5.3).
#pragma once

#include "bpf/programs/icmp.bpf.h"

#define SMALLEST_EXTENDED 128  // bytes quoted in front of an extension (RFC 4884 §4)

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
      if (p->fragment & FRAGMENT_OFFSET) break;
      if (!quoted || bpf_skb_load_bytes(skb, at, &was.type, sizeof(was.type))) return CLAT_PUNT_ICMP;
      if (!is_echo(direction, was.type)) return CLAT_PUNT_ICMP;
      is.word = 0;
      is.type = echo_counterpart(was.type);
      out->type = is.type;
      out->has_type = 1;
      const __u32 type_change = fold((__u64)is.word + minus(was.word));  // the code stays
      out->change = fold((__u64)out->change + type_change);
      change =
          fold((__u64)type_change + pseudo_header_change(direction, sum_of_ipv6(direction, &work->addresses), p->size));
      // Of an echo in fragments it stays: it covers a length that is not known.
      if (!p->fragment) checksum_at = 2;
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

// RFC 4884 §4: what follows a quote of `attribute` bytes in an error of `size`, and goes on with it or does not. False:
// it is too much.
static __noinline int find_extension(struct work* work, __u32 attribute, __u32 size, int goes_on) {
  struct tail* tail = &work->tail;
  const __u32 quoted = sizeof(struct icmp_header) + attribute;
  tail->behind = attribute >= SMALLEST_EXTENDED && quoted < size ? size - quoted : 0;
  tail->extension = goes_on ? tail->behind : 0;
  return tail->extension <= sizeof(work->chunk);
}

// `quote` bytes, with their headers in the other family, are to have room in `most` with the extension, which they come
// before in whole words of `word` bytes, no more than one byte can count. Returns how many bytes they become.
inline_always __u32 fit_quote(struct tail* tail, __u32 quote, __u32 most, const __u32 word) {
  __u32 length = quote;
  if (tail->extension) {
    length = (quote + word - 1) & -word;
    if (length < SMALLEST_EXTENDED) length = SMALLEST_EXTENDED;
    most = (most - tail->extension) & -word;
    if (most > 255 * word) most = 255 * word;
  }
  if (length > most) length = most;
  tail->cut = quote > length ? quote - length : 0;
  tail->padding = length > quote ? length - quote : 0;
  return length;
}

// Where the part of the quote that stays ends; `end` is the error's.
inline_always __u32 end_of_quote(const struct tail* tail, __u32 end) { return end - tail->behind - tail->cut; }

// Takes the extension of an error that ends at `end` out of the way, and sums what goes for good. Negative: they cannot
// be read.
static __noinline __s32 set_extension_aside(struct __sk_buff* skb, __u32 end, struct work* work) {
  const struct tail* tail = &work->tail;
  const __s32 gone = sum_bytes(skb, end_of_quote(tail, end), tail->cut + tail->behind - tail->extension);
  if (!tail->extension || gone < 0) return gone;
  const __u32 length = bounded(tail->extension, sizeof(work->chunk));
  return bpf_skb_load_bytes(skb, end - tail->extension, work->chunk, length) ? -1 : gone;
}
// And puts it behind all that there is by now.
static __noinline long append_extension(struct __sk_buff* skb, const struct work* work) {
  const struct tail* tail = &work->tail;
  if (!tail->extension) return 0;
  const __u32 at = skb->len + tail->padding;
  if (bpf_skb_change_tail(skb, at + tail->extension, 0)) return -1;  // what is new is 0
  const __u32 length = bounded(tail->extension, sizeof(work->chunk));
  return bpf_skb_store_bytes(skb, at, work->chunk, length, BPF_F_RECOMPUTE_CSUM);
}

// Whether an error from outside the NAT64 prefix is one of a router's on the way, to be shown as from 192.0.0.8.
inline_always int may_send_errors(const struct clat_interface* uplink, const __u32* source) {
  if (!source[0] && !source[1]) return 0;
  return *(const __u8*)source != 0xff && !own_ipv4(uplink, source);
}

// Whether an error of `size` bytes at `at` quotes a packet that this CLAT may have sent. What quotes anything else, or
// too little to tell, says nothing to it.
inline_always int quotes_ours(struct __sk_buff* skb, const struct clat_interface* uplink, struct work* work, __u32 at,
                              __u32 size) {
  typeof(work->old.six)* old = &work->old.six;
  if (size < sizeof(*old) || bpf_skb_load_bytes(skb, at, old, sizeof(*old))) return 0;
  return own_ipv4(uplink, old->ip.saddr.in6_u.u6_addr32) && in_prefix(&uplink->prefix, old->ip.daddr.in6_u.u6_addr32);
}

// What an error's quoted packet becomes; `at` is where the error begins. NOT_PUNTED or why not.
inline_always __u32 inspect_error_ipv6(struct __sk_buff* skb, const struct clat_interface* uplink, struct work* work,
                                       __u32 at) {
  __u32 size = work->payload.size;
  struct payload* inner = &work->inner;
  typeof(work->old.six)* old = &work->old.six;
  typeof(work->new.four)* new = &work->new.four;
  if (size < sizeof(*old) || bpf_skb_load_bytes(skb, at, old, sizeof(*old)) || old->ip.version != 6) {
    return CLAT_PUNT_ICMP;
  }
  const __u32 has_attribute = old->icmp.type & 1;  // 1 and 3, of 1 to 4
  const __u32 attribute = (bpf_ntohl(old->icmp.rest) >> 24) * 8 * has_attribute;
  if (!forget(skb, find_extension(work, attribute, size, 1))) return CLAT_PUNT_ICMP;
  size -= work->tail.behind;
  *inner = (struct payload){.size = bpf_ntohs(old->ip.payload_len), .protocol = old->ip.nexthdr};
  at += sizeof(*old);
  if (read_quoted_chain(skb, at, size - sizeof(*old), work) != NOT_PUNTED) return CLAT_PUNT_ICMP;
  const __s32 chain = sum_bytes(skb, at, inner->offset);
  if (chain < 0) return CLAT_PUNT_ICMP;
  work->patch.change = minus(chain);
  work->quoted = sizeof(*old) + inner->offset;
  const __u32 overhead =
      forget(skb, IPV6_HEADER - IPV4_HEADER + (inner->fragmented ? sizeof(struct fragment_header) : 0));
  if (!forget(skb, error_to_ipv4(&old->icmp, uplink, overhead, &new->icmp))) return CLAT_PUNT_ICMP;
  // Only what quotes a packet of ours tells us something.
  const __u32* source = old->ip.saddr.in6_u.u6_addr32;
  const __u32* destination = old->ip.daddr.in6_u.u6_addr32;
  const __u32 own_be32 = own_ipv4(uplink, source);
  const __u32 peer_be32 = extract_ipv4(&uplink->prefix, destination);
  if (!own_be32 || !in_prefix(&uplink->prefix, destination) || !is_plain_peer(uplink, peer_be32) ||
      inner->size > 0xffff - IPV4_HEADER) {
    return CLAT_PUNT_ICMP;
  }
  work->addresses = exchange_addresses(source, destination, own_be32, peer_be32, CLAT_TO_IPV4);
  new->inner = ipv4_header(&old->ip, counterpart(inner->protocol), inner->size, own_be32, peer_be32);
  if (inner->fragmented) {
    finish_ipv4(&new->inner, inner->id_be32 >> 16, inner->fragment);
  } else {
    finish_ipv4(&new->inner, 0, inner->size + IPV4_HEADER > IPV4_FRAGMENTABLE ? DONT_FRAGMENT : 0);
  }
  return inspect_quoted_ipv6(skb, at + inner->offset, size - work->quoted, work);
}

// RFC 7915 §5.2, §5.3: the payload is an error for `own_be32`, `ip` its header, from `peer_be32`.
inline_always int icmp_error_to_ipv4(struct __sk_buff* skb, const struct clat_interface* uplink, struct work* work,
                                     const struct ipv6hdr* ip, __u32 peer_be32, __u32 own_be32) {
  const __u32 l2 = link_header(uplink);
  const struct payload* p = &work->payload;
  typeof(work->old.six)* old = &work->old.six;
  typeof(work->new.four)* new = &work->new.four;
  const __u32 reason = forget(skb, inspect_error_ipv6(skb, uplink, work, l2 + p->offset));
  if (reason != NOT_PUNTED) return steer(skb, uplink, reason);
  struct tail* tail = &work->tail;
  const __u32 end = p->offset + p->size;
  const __u32 quote = p->size - tail->behind - work->quoted + sizeof(new->inner);
  const __u32 length = forget(skb, fit_quote(tail, quote, 0xffff - IPV4_HEADER - sizeof(new->icmp), 4));
  if (tail->extension) new->icmp.rest |= bpf_htonl(length / 4 << 16);
  const __u32 size = sizeof(new->icmp) + length + tail->extension;
  new->ip = ipv4_header(ip, IPPROTO_ICMP, size, peer_be32, own_be32);
  if (!finish_outer_ipv4(&new->ip, uplink, p, size + IPV4_HEADER)) return steer(skb, uplink, CLAT_PUNT_TOO_BIG);
  const __s32 gone = set_extension_aside(skb, l2 + end, work);
  if (gone < 0) return steer(skb, uplink, CLAT_PUNT_TOO_BIG);

  const __u32 six = fold(sum_of_words(ip->saddr.in6_u.u6_addr32, 4) + sum_of_words(ip->daddr.in6_u.u6_addr32, 4));
  const __u16 checksum = old->icmp.checksum;
  old->icmp.checksum = 0;
  const __s64 change =
      bpf_csum_diff((__be32*)old, sizeof(*old), (__be32*)&new->icmp, sizeof(*new) - IPV4_HEADER,
                    work->patch.change + minus(gone) + pseudo_header_change(CLAT_TO_IPV4, six, p->size));
  new->icmp.checksum = moved_checksum(checksum, fold(change));

  // The packet changes from here on.
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  const enum replacement done =
      replace_headers(skb, l2, CLAT_TO_IPV4, end_of_quote(tail, end), p->offset + work->quoted, new, sizeof(*new));
  if (done == REFUSED) return steer(skb, uplink, CLAT_PUNT_KERNEL);
  if (done == BROKEN || store_patch(skb, l2 + sizeof(*new), &work->patch) || append_extension(skb, work)) {
    return drop(skb, uplink, CLAT_DROP_KERNEL);
  }
  count_fast(skb, uplink, CLAT_TO_IPV4, p->offset, p->size, &work->transport);
  return bpf_redirect(uplink->peer_ifindex, BPF_F_INGRESS);
}

// The ICMP header, and the quoted packet's IPv4 header with its options. False: they are not there, or not to be
// skipped.
inline_always int read_quoted_ipv4(struct __sk_buff* skb, struct work* work) {
  const struct payload* p = &work->payload;
  typeof(work->old.four)* old = &work->old.four;
  const __u32 fixed = offsetof(typeof(*old), options);
  __builtin_memset(old, 0, sizeof(*old));
  if (p->size < fixed || bpf_skb_load_bytes(skb, p->offset, old, fixed)) return 0;
  if (old->ip.version != 4 || old->ip.ihl < 5) return 0;
  const __u32 options = old->ip.ihl * 4 - IPV4_HEADER;
  work->quoted = fixed + options;
  if (!options) return 1;
  return p->size >= work->quoted &&
         !bpf_skb_load_bytes(skb, p->offset + fixed, old->options, bounded(options, OPTION_SLOTS)) &&
         may_skip_options(skb, work, options);
}

// What an error's quoted packet becomes. NOT_PUNTED or why not.
inline_always __u32 inspect_error_ipv4(struct __sk_buff* skb, const struct clat_interface* tun, struct work* work) {
  const struct payload* p = &work->payload;
  struct payload* inner = &work->inner;
  typeof(work->old.four)* old = &work->old.four;
  typeof(work->new.six)* new = &work->new.six;
  if (!forget(skb, read_quoted_ipv4(skb, work))) return CLAT_PUNT_ICMP;
  const __u32 total = bpf_ntohs(old->ip.tot_len);
  const __u32 header = old->ip.ihl * 4;
  if (total < header || !forget(skb, error_to_ipv6(&old->icmp, tun, total, &new->icmp))) return CLAT_PUNT_ICMP;
  const __u32 has_attribute = new->icmp.type & 1;  // 1 and 3, of 1 to 4
  const __u32 attribute = (bpf_ntohl(old->icmp.rest) >> 16 & 0xff) * 4;
  if (!forget(skb, find_extension(work, attribute, p->size, has_attribute))) return CLAT_PUNT_ICMP;
  // Only what quotes a packet for us tells its sender something.
  __u32* source = new->inner.saddr.in6_u.u6_addr32;
  __u32* destination = new->inner.daddr.in6_u.u6_addr32;
  if (!own_ipv6(tun, old->ip.daddr, destination) || !is_plain_peer(tun, old->ip.saddr)) return CLAT_PUNT_ICMP;
  embed_ipv4(&tun->prefix, old->ip.saddr, source);
  *inner = (struct payload){.size = total - header, .protocol = old->ip.protocol};
  read_ipv4_fragment(&old->ip, inner);
  work->addresses = exchange_addresses(source, destination, old->ip.saddr, old->ip.daddr, CLAT_TO_IPV6);
  const __u8 next = counterpart(inner->protocol);
  const __u32 fragment = inner->fragmented ? sizeof(new->inner_fragment) : 0;
  __builtin_memset(&new->inner_fragment, 0, sizeof(new->inner_fragment));
  if (fragment) set_fragment_header(&new->inner_fragment, next, inner);
  set_ipv6_header(&new->inner, &old->ip, fragment ? IPPROTO_FRAGMENT : next, inner->size + fragment);
  return inspect_quoted_ipv4(skb, p->offset + work->quoted, p->size - work->tail.behind - work->quoted, work);
}

// RFC 7915 §4.2, §4.3: the payload is an error of ours, `ip` its header; the one to come has its addresses already.
inline_always int icmp_error_to_ipv6(struct __sk_buff* skb, const struct clat_interface* tun, struct work* work,
                                     const struct iphdr* ip) {
  const struct payload* p = &work->payload;
  typeof(work->old.four)* old = &work->old.four;
  typeof(work->new.six)* new = &work->new.six;
  const __u32 reason = forget(skb, inspect_error_ipv4(skb, tun, work));
  if (reason != NOT_PUNTED) return punt(skb, tun, reason);
  const __u32 after = work->inner.fragmented ? sizeof(*new) : offsetof(typeof(*new), inner_fragment);
  struct tail* tail = &work->tail;
  const __u32 end = p->offset + p->size;
  const __u32 headers = IPV6_HEADER + sizeof(new->icmp);
  const __u32 quote = p->size - tail->behind - work->quoted + after - headers;
  const __u32 length = forget(skb, fit_quote(tail, quote, MINIMUM_MTU - headers, 8));
  if (tail->extension) new->icmp.rest |= bpf_htonl(length / 8 << 24);
  const __u32 size = sizeof(new->icmp) + length + tail->extension;
  const __s32 gone = set_extension_aside(skb, end, work);
  if (gone < 0) return punt(skb, tun, CLAT_PUNT_TOO_BIG);

  const __u32 six =
      fold(sum_of_words(new->ip.saddr.in6_u.u6_addr32, 4) + sum_of_words(new->ip.daddr.in6_u.u6_addr32, 4));
  const __u16 checksum = old->icmp.checksum;
  old->icmp.checksum = 0;
  const __s64 change = bpf_csum_diff((__be32*)old, sizeof(*old), (__be32*)&new->icmp, sizeof(*new) - IPV6_HEADER,
                                     work->patch.change + minus(gone) + pseudo_header_change(CLAT_TO_IPV6, six, size));
  new->icmp.checksum = moved_checksum(checksum, fold(change));
  set_ipv6_header(&new->ip, ip, IPPROTO_ICMPV6, size);

  // The packet changes from here on.
  const enum replacement done =
      replace_headers(skb, 0, CLAT_TO_IPV6, end_of_quote(tail, end), p->offset + work->quoted, new, after);
  if (done == REFUSED) return punt(skb, tun, CLAT_PUNT_KERNEL);
  if (done == BROKEN || store_patch(skb, after, &work->patch) || append_extension(skb, work) ||
      prepare_to_leave(skb, tun)) {
    return drop(skb, tun, CLAT_DROP_KERNEL);
  }
  count_fast(skb, tun, CLAT_TO_IPV6, p->offset, p->size, &work->transport);
  return leave(skb, tun);
}
