// What all programs share: maps, counters, access to headers, RFC 6052, and the ways out.
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/stddef.h>

#include "bpf/clat_abi.h"

#define inline_always static __always_inline

// Other programs on the hook run after us, then the stack (TC_ACT_UNSPEC, TCX_NEXT).
#define PASS (-1)
#define DROP TC_ACT_SHOT

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 2 * CLAT_MAX_UPLINKS);
  __type(key, __u32);
  __type(value, struct clat_interface);
} clat_interfaces SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CLAT_MAX_UPLINKS);
  __type(key, __u32);
  __type(value, struct clat_counters);
} clat_counters SEC(".maps");

// Not pinned: whoever attaches programs fills it before.
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CLAT_MAX_SUBNETS);
  __type(key, struct clat_subnet);
  __type(value, __u8);
} clat_subnets SEC(".maps");

// Not pinned. Uplinks whose CLAT address somebody else may have still (RFC 4429): a flag in the map entry would be one
// more change of that, each of which has to wait for the programs.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CLAT_MAX_UPLINKS);
  __type(key, __u32);
  __type(value, __u8);
} clat_optimistic SEC(".maps");

inline_always const struct clat_interface* interface_of(const struct __sk_buff* skb) {
  const __u32 ifindex = skb->ifindex;
  return bpf_map_lookup_elem(&clat_interfaces, &ifindex);
}

// The loader makes the counters before the interface entries, so there are some.
inline_always struct clat_counters* counters_of(const struct clat_interface* interface) {
  const __u32 ifindex = interface->uplink_ifindex;
  return bpf_map_lookup_elem(&clat_counters, &ifindex);
}

// `number`, of which the verifier now knows nothing. What it knows it goes on with, once for each way to get there.
inline_always __u32 forget(const struct __sk_buff* skb, __u32 number) {
  const __u32 unknown = skb->len;
  number ^= unknown;
  asm volatile("" : "+r"(number));
  return number ^ unknown;
}

// Without CAP_PERFMON the verifier wants an index to look alike on all paths.
inline_always __u32 index_of(const struct __sk_buff* skb, __u32 number, __u32 slots) {
  return forget(skb, number) & (slots - 1);
}

inline_always void count_punt(const struct __sk_buff* skb, const struct clat_interface* interface,
                              enum clat_direction direction, enum clat_punt reason) {
  struct clat_counters* counters = counters_of(interface);
  if (counters) ++counters->punts[direction][index_of(skb, reason, CLAT_PUNT_SLOTS)];
}

inline_always int drop(const struct __sk_buff* skb, const struct clat_interface* interface, enum clat_drop reason) {
  struct clat_counters* counters = counters_of(interface);
  if (counters) ++counters->drops[index_of(skb, reason, CLAT_DROP_SLOTS)];
  return DROP;
}

// The barrier keeps clang from loading the field once more: the verifier trusts only the pointer that was compared.
inline_always void* data_of(const struct __sk_buff* skb) {
  void* data = (void*)(long)skb->data;
  asm volatile("" : "+r"(data));
  return data;
}

// Makes `header` point to its bytes at `offset`, or leaves the function with `otherwise` where the packet is shorter.
// Packet pointers got before are void after. Not a function that may return NULL: comparing a packet pointer with NULL
// takes CAP_PERFMON.
#define HEADER_AT(header, skb, offset, otherwise)                               \
  do {                                                                          \
    header = data_of(skb) + (offset);                                           \
    if ((void*)(header + 1) > (void*)(long)(skb)->data_end) {                   \
      if (bpf_skb_pull_data(skb, (offset) + sizeof(*header))) return otherwise; \
      header = data_of(skb) + (offset);                                         \
      if ((void*)(header + 1) > (void*)(long)(skb)->data_end) return otherwise; \
    }                                                                           \
  } while (0)

inline_always int same_address(const __u32* left, const __u32* right) {
  // The last word differs first between addresses of one network.
  return left[3] == right[3] && left[2] == right[2] && left[1] == right[1] && left[0] == right[0];
}

inline_always int in_prefix(const struct clat_prefix* prefix, const __u32* address) {
  return (address[0] & prefix->mask_be32[0]) == prefix->address_be32[0] &&
         (address[1] & prefix->mask_be32[1]) == prefix->address_be32[1] &&
         (address[2] & prefix->mask_be32[2]) == prefix->address_be32[2];
}

// RFC 6052 §2.2: prefixes up to /64 leave octet 8 free, so of the 32 bits length - 32 stand behind it.
inline_always __u32 extract_ipv4(const struct clat_prefix* prefix, const __u32* address) {
  if (prefix->length == 96) return address[3];
  const __u32 behind = (prefix->length - 32) & 63;
  const __u64 high = (__u64)bpf_ntohl(address[0]) << 32 | bpf_ntohl(address[1]);
  const __u64 low = (__u64)bpf_ntohl(address[2]) << 32 | bpf_ntohl(address[3]);
  return bpf_htonl((__u32)(high << behind) | (__u32)(low >> (56 - behind) & ((1ULL << behind) - 1)));
}

inline_always void embed_ipv4(const struct clat_prefix* prefix, __u32 v4_be32, __u32* address) {
  address[0] = prefix->address_be32[0];
  address[1] = prefix->address_be32[1];
  address[2] = prefix->address_be32[2];
  address[3] = 0;
  if (prefix->length == 96) {
    address[3] = v4_be32;
    return;
  }
  const __u64 v4 = bpf_ntohl(v4_be32);
  const __u32 behind = (prefix->length - 32) & 63;
  const __u64 low = (v4 & ((1ULL << behind) - 1)) << (56 - behind);
  address[1] |= bpf_htonl((__u32)(v4 >> behind));
  address[2] = bpf_htonl((__u32)(low >> 32));
  address[3] = bpf_htonl((__u32)low);
}

inline_always int in_range(const struct clat_range* range, __u32 v4_be32) {
  return (v4_be32 & range->v4_mask_be32) == range->v4_be32;
}

// RFC 1812 §5.3.7.
inline_always int is_unicast(__u32 v4_be32) {
  const __u32 v4 = bpf_ntohl(v4_be32);
  const __u32 first = v4 >> 24;
  return first != 0 && first != 127 && (first & 0xf0) != 224 && v4 != 0xffffffff && v4 >> 16 != 0xa9fe;
}

// The address on our side that `v6` stands for; 0: none.
static __noinline __u32 own_ipv4_in_range(const struct clat_range* range, const __u32* v6) {
  if (!in_prefix(&range->v6, v6)) return 0;
  const __u32 v4_be32 = extract_ipv4(&range->v6, v6);
  if (!in_range(range, v4_be32)) return 0;
  __u32 exact[4];
  embed_ipv4(&range->v6, v4_be32, exact);
  return same_address(v6, exact) ? v4_be32 : 0;
}
static __noinline __u32 own_ipv4_in_ranges(const struct clat_interface* i, const __u32* v6) {
#pragma unroll
  for (__u32 n = 0; n < CLAT_MAX_RANGES; ++n) {
    const __u32 v4_be32 = n < i->range_count ? own_ipv4_in_range(&i->ranges[n], v6) : 0;
    if (v4_be32) return v4_be32;
  }
  return 0;
}
inline_always __u32 own_ipv4(const struct clat_interface* i, const __u32* v6) {
  if (same_address(v6, i->v6_be32)) return i->v4_be32;
  return i->range_count ? own_ipv4_in_ranges(i, v6) : 0;
}

// False: `v4_be32` is no address on our side.
static __noinline int own_ipv6_in_ranges(const struct clat_interface* i, __u32 v4_be32, __u32* v6) {
#pragma unroll
  for (__u32 n = 0; n < CLAT_MAX_RANGES; ++n) {
    const struct clat_range* range = &i->ranges[n];
    if (n >= i->range_count) return 0;
    if (!in_range(range, v4_be32)) continue;
    embed_ipv4(&range->v6, v4_be32, v6);
    return is_unicast(v4_be32);
  }
  return 0;
}
inline_always int own_ipv6(const struct clat_interface* i, __u32 v4_be32, __u32* v6) {
  if (v4_be32 != i->v4_be32) return i->range_count && own_ipv6_in_ranges(i, v4_be32, v6);
  for (int word = 0; word < 4; ++word) v6[word] = i->v6_be32[word];
  return 1;
}
static __noinline int is_in_ranges(const struct clat_interface* i, __u32 v4_be32) {
#pragma unroll
  for (__u32 n = 0; n < CLAT_MAX_RANGES; ++n) {
    if (n < i->range_count && in_range(&i->ranges[n], v4_be32)) return 1;
  }
  return 0;
}
inline_always int is_own_ipv4(const struct clat_interface* i, __u32 v4_be32) {
  return v4_be32 == i->v4_be32 || (i->range_count && is_in_ranges(i, v4_be32));
}

// RFC 6052 §3.1 is about the Well-Known Prefix only. What others send is clatd's to judge, and it drops them.
inline_always int is_plain_peer(const struct clat_interface* i, __u32 v4_be32) {
  if (!is_unicast(v4_be32)) return 0;
  if (is_own_ipv4(i, v4_be32)) return 0;  // hairpin
  if (i->flags & CLAT_FLAG_ALLOW_PRIVATE_IPV4) return 1;
  const __u32 v4 = bpf_ntohl(v4_be32);
  return v4 >> 24 != 10 && v4 >> 20 != 0xac1 && v4 >> 16 != 0xc0a8;
}

// A neighbour on the uplink may send as whoever it likes out of the NAT64 prefix, a host of our LAN included.
inline_always int is_connected(__u32 v4_be32) {
  const struct clat_subnet host = {.length = 32, .v4_be32 = v4_be32};
  return bpf_map_lookup_elem(&clat_subnets, &host) != NULL;
}

// For clatd to read, unchanged: into the tun, or where it has a packet socket on the uplink past the stack, which would
// answer for an address that is its own.
inline_always int steer(struct __sk_buff* skb, const struct clat_interface* uplink, enum clat_punt reason) {
  if (uplink->flags & CLAT_FLAG_PACKET_SOCKET) {
    if (bpf_skb_change_type(skb, PACKET_OTHERHOST)) return drop(skb, uplink, CLAT_DROP_KERNEL);
    count_punt(skb, uplink, CLAT_TO_IPV4, reason);
    return PASS;
  }
  // With a tag (vid 0) the tun would get it inside the IPv6 header.
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  count_punt(skb, uplink, CLAT_TO_IPV4, reason);
  return bpf_redirect(uplink->peer_ifindex, 0);
}

// On to clatd, which reads what leaves the tun.
inline_always int punt(struct __sk_buff* skb, const struct clat_interface* tun, enum clat_punt reason) {
  count_punt(skb, tun, CLAT_TO_IPV6, reason);
  return PASS;
}

// IPv6 on the tun, with nothing in front, becomes fit for leave(). What may fail of that is here: then it is not 0.
// bpf_redirect_neigh drops a packet without a MAC header, but writes its own in place of it.
inline_always long prepare_to_leave(struct __sk_buff* skb, const struct clat_interface* tun) {
  return tun->flags & CLAT_FLAG_RAW_IP ? 0 : bpf_skb_change_head(skb, ETH_HLEN, 0);
}

inline_always int leave(struct __sk_buff* skb, const struct clat_interface* tun) {
  if (tun->mark) skb->mark = tun->mark;
  if (tun->flags & CLAT_FLAG_RAW_IP) return bpf_redirect(tun->peer_ifindex, 0);
  if (!(tun->flags & CLAT_FLAG_NEXT_HOP)) return bpf_redirect_neigh(tun->peer_ifindex, NULL, 0, 0);
  struct bpf_redir_neigh next_hop = {.nh_family = 10 /* AF_INET6 */};
  __builtin_memcpy(next_hop.ipv6_nh, tun->next_hop_be32, sizeof(next_hop.ipv6_nh));
  return bpf_redirect_neigh(tun->peer_ifindex, &next_hop, sizeof(next_hop), 0);
}
