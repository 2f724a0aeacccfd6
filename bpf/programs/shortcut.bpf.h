// The shortcut: packets of flows between LAN and uplink that need not go through the stack, which tracks, filters and
// routes them. Which flows may is for user space to say, and whether the stack lets them through the flow has to prove,
// each direction by itself and again every CLAT_PROOF_NS: only by what is seen where packets leave the stack.
#pragma once

#include <linux/tcp.h>

#include "bpf/programs/rewrite.bpf.h"

#define LONG_WAY 1000  // none of the verdicts
#define HOPS 2         // forwarding, and translating
#define TCP_ENDS 0x07  // FIN, SYN, RST: connection tracking wants to see them

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 2 * CLAT_MAX_SHORTCUTS);
  __type(key, struct clat_flow_key);
  __type(value, struct clat_shortcut);
} clat_shortcuts SEC(".maps");

// Until when user space answers for what is in the map, in ns of CLOCK_MONOTONIC.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} clat_shortcuts_end SEC(".maps");

// Of a whole packet with a plain header, on Ethernet. False: none of TCP or UDP.
inline_always int read_flow(struct __sk_buff* skb, struct iphdr* ip, struct clat_flow_key* key) {
  if (skb->protocol != bpf_htons(ETH_P_IP) || skb->pkt_type != PACKET_HOST || skb->vlan_present) return 0;
  const struct iphdr* seen;
  HEADER_AT(seen, skb, ETH_HLEN, 0);
  *ip = *seen;
  if (ip->version != 4 || ip->ihl != 5 || ip->frag_off & bpf_htons(MORE_FRAGMENTS | FRAGMENT_OFFSET)) return 0;
  if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return 0;
  const struct udphdr* ports;  // TCP has them in the same place
  HEADER_AT(ports, skb, ETH_HLEN + IPV4_HEADER, 0);
  key->ifindex = skb->ifindex;
  key->source_be32 = ip->saddr;
  key->destination_be32 = ip->daddr;
  key->source_port_be16 = ports->source;
  key->destination_port_be16 = ports->dest;
  key->protocol = ip->protocol;
  return 1;
}

inline_always int is_same_flow(const struct clat_flow_key* left, const struct clat_flow_key* right) {
  return left->ifindex == right->ifindex && left->source_be32 == right->source_be32 &&
         left->destination_be32 == right->destination_be32 && left->source_port_be16 == right->source_port_be16 &&
         left->destination_port_be16 == right->destination_port_be16 && left->protocol == right->protocol;
}

// `copy` is all of the entry. False where it is another flow's by now: the key stands in front, so whoever writes the
// entry anew begins with it, and it is looked at last.
inline_always int read_shortcut(const struct clat_shortcut* flow, const struct clat_flow_key* key,
                                struct clat_shortcut* copy) {
  *copy = *flow;
  asm volatile("" ::: "memory");
  return is_same_flow(&flow->key, key);
}

inline_always void end_flow(struct clat_shortcut* flow, const struct clat_shortcut* copy) {
  struct clat_shortcut* back = bpf_map_lookup_elem(&clat_shortcuts, &copy->back);
  flow->ended = 1;
  if (back) back->ended = 1;
}

// Whether this packet of the flow, with its transport at `at`, goes past the stack. `copy` is what is true of it.
inline_always int may_be_taken(struct __sk_buff* skb, struct clat_shortcut* flow, const struct clat_flow_key* key,
                               struct clat_shortcut* copy, const __u32 at) {
  if (!read_shortcut(flow, key, copy) || copy->ended) return 0;
  if (key->protocol == IPPROTO_TCP) {
    __u8 flags;
    if (bpf_skb_load_bytes(skb, at + offsetof(struct tcphdr, ack_seq) + 5, &flags, sizeof(flags))) return 0;
    if (flags & TCP_ENDS) {
      end_flow(flow, copy);
      return 0;
    }
  }
  const __u32 zero = 0;
  const __u64* end = bpf_map_lookup_elem(&clat_shortcuts_end, &zero);
  const __u64 now = bpf_ktime_get_ns();
  if (!end || now >= *end || !copy->proven_at) return 0;
  const __u64 age = now - copy->proven_at;
  if (age < CLAT_SETTLE_NS || age >= CLAT_PROOF_NS) return 0;
  if (copy->bytes < CLAT_PROOF_BYTES) return 1;
  flow->proven_at = 0;
  return 0;
}

inline_always void prove(struct clat_shortcut* flow, const struct clat_flow_key* key) {
  if (!is_same_flow(&flow->key, key)) return;
  const __u64 now = bpf_ktime_get_ns();
  if (flow->ended || (flow->proven_at && now - flow->proven_at < CLAT_PROOF_NS)) return;
  flow->bytes = 0;
  flow->proven_at = now;
}

// On the tun's egress, behind forwarding and address translation: IPv4 without a link header.
static __noinline int prove_outwards(struct __sk_buff* skb, const struct clat_interface* tun, const struct iphdr* ip) {
  if (ip->version != 4 || ip->ihl != 5 || ip->frag_off & bpf_htons(MORE_FRAGMENTS | FRAGMENT_OFFSET)) return 0;
  struct {
    __be16 source, destination;
  } ports;
  if (bpf_skb_load_bytes(skb, IPV4_HEADER, &ports, sizeof(ports))) return 0;
  const struct clat_flow_key answers = {.ifindex = tun->uplink_ifindex,
                                        .source_be32 = ip->daddr,
                                        .destination_be32 = ip->saddr,
                                        .source_port_be16 = ports.destination,
                                        .destination_port_be16 = ports.source,
                                        .protocol = ip->protocol};
  const struct clat_shortcut* back = bpf_map_lookup_elem(&clat_shortcuts, &answers);
  struct clat_shortcut copy;
  if (!back || !read_shortcut(back, &answers, &copy) || copy.back.ifindex != skb->ingress_ifindex) return 0;
  struct clat_shortcut* flow = bpf_map_lookup_elem(&clat_shortcuts, &copy.back);
  if (flow) prove(flow, &copy.back);
  return 0;
}

// On the egress of the LAN's device. What was sent past the stack comes along here, too: that came in by the uplink,
// and not by the tun.
inline_always void prove_inwards(struct __sk_buff* skb) {
  struct iphdr ip;
  struct clat_flow_key seen;
  if (!read_flow(skb, &ip, &seen)) return;
  const struct clat_flow_key out = {.ifindex = seen.ifindex,
                                    .source_be32 = seen.destination_be32,
                                    .destination_be32 = seen.source_be32,
                                    .source_port_be16 = seen.destination_port_be16,
                                    .destination_port_be16 = seen.source_port_be16,
                                    .protocol = seen.protocol};
  const struct clat_shortcut* back = bpf_map_lookup_elem(&clat_shortcuts, &out);
  struct clat_shortcut copy;
  if (!back || !read_shortcut(back, &out, &copy) || copy.tun != skb->ingress_ifindex) return;
  struct clat_shortcut* flow = bpf_map_lookup_elem(&clat_shortcuts, &copy.back);
  if (flow) prove(flow, &copy.back);
}

inline_always void count_shortcut(const struct __sk_buff* skb, const struct clat_interface* interface,
                                  enum clat_direction direction, struct clat_shortcut* flow, __u32 ip_header,
                                  __u32 length, const struct transport* t) {
  flow->bytes += length;
  struct clat_counters* counters = counters_of(interface);
  if (counters) count_flow(skb, &counters->shortcut[direction], ip_header, length, t);
}

// One of TCP's or UDP's, `at` bytes into the header.
struct port_change {
  __u32 at;
  __be16 from;
  __be16 to;
};

// As mend_checksum(), of a packet one port of which changes with the addresses. Where its checksum is unfinished the
// ports are no part of it, which the helper knows.
inline_always long mend_port(struct __sk_buff* skb, __u32 at, const struct transport* t,
                             const struct exchange* addresses, const struct port_change* port) {
  if (port->from == port->to) return mend_checksum(skb, at, t, addresses);
  const __u32 field = at + t->checksum_at;
  const __u64 never_zero = t->never_zero ? BPF_F_MARK_MANGLED_0 : 0;
  if (!t->never_zero || may_be_unfinished(skb, t, addresses)) {
    if (bpf_skb_store_bytes(skb, at + port->at, &port->to, sizeof(port->to), 0)) return -1;
    if (addresses->difference &&
        bpf_l4_csum_replace(skb, field, 0, addresses->difference, BPF_F_PSEUDO_HDR | never_zero)) {
      return -1;
    }
    return bpf_l4_csum_replace(skb, field, port->from, port->to, never_zero | sizeof(port->to));
  }
  __u16 sum = ~fold((__u64)(__u16)~t->checksum_be16 + addresses->difference + port->to + minus(port->from));
  if (!sum) sum = 0xffff;
  if (bpf_skb_store_bytes(skb, at + port->at, &port->to, sizeof(port->to), BPF_F_RECOMPUTE_CSUM)) return -1;
  return bpf_skb_store_bytes(skb, field, &sum, sizeof(sum), BPF_F_RECOMPUTE_CSUM);
}

inline_always int leave_to_lan(const struct clat_shortcut* flow) {
  struct bpf_redir_neigh next_hop;
  __builtin_memset(&next_hop, 0, sizeof(next_hop));  // all of it, which an initializer is not
  next_hop.nh_family = 2;                            // AF_INET
  next_hop.ipv4_nh = flow->next_hop_be32;
  return bpf_redirect_neigh(flow->back.ifindex, &next_hop, sizeof(next_hop), 0);
}

// `ip` and `t` are of a packet that may be translated in the short way.
inline_always int answer_to_lan(struct __sk_buff* skb, const struct clat_interface* uplink, const __u32 l2,
                                const struct ipv6hdr* ip, __u32 own_be32, const struct transport* t) {
  const __u32 peer_be32 = extract_ipv4(&uplink->prefix, ip->saddr.in6_u.u6_addr32);
  struct {
    __be16 source, destination;
  } ports;
  if (bpf_skb_load_bytes(skb, l2 + IPV6_HEADER, &ports, sizeof(ports))) return LONG_WAY;
  const struct clat_flow_key key = {.ifindex = skb->ifindex,
                                    .source_be32 = peer_be32,
                                    .destination_be32 = own_be32,
                                    .source_port_be16 = ports.source,
                                    .destination_port_be16 = ports.destination,
                                    .protocol = ip->nexthdr};
  struct clat_shortcut* flow = bpf_map_lookup_elem(&clat_shortcuts, &key);
  struct clat_shortcut copy;
  if (!flow || !may_be_taken(skb, flow, &key, &copy, l2 + IPV6_HEADER)) return LONG_WAY;
  const __u32 length = bpf_ntohs(ip->payload_len);
  const __u32 size = wire_size(skb, IPV4_HEADER, t, length);
  if (ip->hop_limit <= HOPS || size > copy.mtu || is_connected(peer_be32)) return LONG_WAY;
  const __u32 host_be32 = copy.back.source_be32;
  struct iphdr four = ipv4_header(ip, ip->nexthdr, length, peer_be32, host_be32);
  four.ttl -= HOPS;
  finish_whole_ipv4(&four, size);
  const struct exchange addresses =
      exchange_addresses(ip->saddr.in6_u.u6_addr32, ip->daddr.in6_u.u6_addr32, peer_be32, host_be32, CLAT_TO_IPV4);
  const struct port_change port = {2, ports.destination, copy.back.source_port_be16};

  // The packet changes from here on.
  if (l2 && skb->vlan_present && bpf_skb_vlan_pop(skb)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  const enum replacement done =
      replace_headers(skb, l2, CLAT_TO_IPV4, IPV6_HEADER + length, IPV6_HEADER, &four, sizeof(four));
  if (done == REFUSED) return LONG_WAY;
  if (done == BROKEN || mend_port(skb, l2 + IPV4_HEADER, t, &addresses, &port)) {
    return drop(skb, uplink, CLAT_DROP_KERNEL);
  }
  if (!l2 && bpf_skb_change_head(skb, ETH_HLEN, 0)) return drop(skb, uplink, CLAT_DROP_KERNEL);
  count_shortcut(skb, uplink, CLAT_TO_IPV4, flow, IPV6_HEADER, length, t);
  return leave_to_lan(&copy);
}

// Functions of their own: together with those of the long way the stack would be too large.
static __noinline int ethernet_to_lan(struct __sk_buff* skb, const struct clat_interface* uplink,
                                      const struct ipv6hdr* ip, __u32 own_be32, const struct transport* t) {
  return answer_to_lan(skb, uplink, ETH_HLEN, ip, own_be32, t);
}
static __noinline int raw_ip_to_lan(struct __sk_buff* skb, const struct clat_interface* uplink,
                                    const struct ipv6hdr* ip, __u32 own_be32, const struct transport* t) {
  return answer_to_lan(skb, uplink, 0, ip, own_be32, t);
}
