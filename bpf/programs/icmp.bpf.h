// ICMP in both families: echoes, and errors with the packet that they quote (RFC 7915 §4.2, §4.3, §5.2, §5.3).
// Checksums change by what changes, so a wrong one stays wrong.
#pragma once

#include "bpf/programs/payload.bpf.h"

#define MINIMUM_MTU 1280  // RFC 8200 §5; no ICMPv6 error is larger (RFC 4443 §2.4 (c))

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
