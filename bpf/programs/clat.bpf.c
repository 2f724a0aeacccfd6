// The fast path: one CLAT per uplink, found by the ifindex of the interface that the packet is on. docs/fast-path.md
// tells how a packet travels. Helpers of Linux 5.10 and no BTF of the running kernel.
#include "bpf/programs/neighbour.bpf.h"
#include "bpf/programs/packet.bpf.h"
#include "bpf/programs/translate.bpf.h"

inline_always int from_uplink(struct __sk_buff* skb, const __u32 l2) {
  if (skb->protocol != bpf_htons(ETH_P_IPV6) || skb->pkt_type == PACKET_OTHERHOST) return PASS;
  // A tagged frame belongs to the VLAN's own interface; vid 0 carries a priority only.
  if (l2 && skb->vlan_present && (skb->vlan_tci & 0xfff)) return PASS;
  const struct clat_interface* uplink = interface_of(skb);
  if (!uplink) return PASS;
  const struct ipv6hdr* seen;
  HEADER_AT(seen, skb, l2, PASS);
  if (seen->version != 6) return PASS;
  const __u32 own_be32 = forget(skb, own_ipv4(uplink, seen->daddr.in6_u.u6_addr32));
  if (!own_be32 && seen->nexthdr != IPPROTO_ICMPV6) return PASS;
  struct ipv6hdr ip = *seen;
  if (ip.nexthdr == IPPROTO_ICMPV6) {
    // Neighbour discovery is never steered, whoever it is for: the kernel lives from it.
    __u8 type = 0;  // and stays so when there is none
    bpf_skb_load_bytes(skb, l2 + sizeof(ip), &type, sizeof(type));
    if (type == ND_SOLICITATION && l2) return answer_solicitation(skb, uplink, &ip);
    if (type >= ND_FIRST && type <= ND_LAST) return PASS;
    if (!own_be32) return PASS;
  }
  return uplink_to_tun(skb, uplink, l2, &ip, own_be32);
}

// Uplink ingress, Ethernet.
SEC("tc")
int clat_uplink_in(struct __sk_buff* skb) { return from_uplink(skb, ETH_HLEN); }

// Uplink ingress where the IP header comes first (ARPHRD_NONE, PPP, RAWIP).
SEC("tc")
int clat_uplink_raw(struct __sk_buff* skb) { return from_uplink(skb, 0); }

// Tun egress: IPv4 of this host and its LAN. IPv6 is what the uplink program steered to clatd: left alone, or it loops.
SEC("tc")
int clat_tun_out(struct __sk_buff* skb) {
  if (skb->protocol != bpf_htons(ETH_P_IP)) return PASS;
  const struct clat_interface* tun = interface_of(skb);
  if (!tun) return PASS;
  const struct iphdr* seen;
  HEADER_AT(seen, skb, 0, PASS);
  struct iphdr ip = *seen;
  if (tun->flags & CLAT_FLAG_SHORTCUT) prove_outwards(skb, tun, &ip);
  return tun_to_uplink(skb, tun, &ip);
}

// Extension headers that the translator never emits, in plain sight or behind the one that it may. `next` is the number
// in the IPv6 header.
inline_always int has_extension(struct __sk_buff* skb, __u8 next) {
  const int fragment = next == IPPROTO_FRAGMENT;
  if (fragment && bpf_skb_load_bytes(skb, IPV6_HEADER, &next, sizeof(next))) return 1;
  return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
         (fragment && next == IPPROTO_FRAGMENT);
}

inline_always int ipv6_from_clatd(struct __sk_buff* skb, const struct clat_interface* tun) {
  const struct ipv6hdr* seen;
  HEADER_AT(seen, skb, 0, drop(skb, tun, CLAT_DROP_OTHER));
  if (seen->version != 6) return drop(skb, tun, CLAT_DROP_OTHER);
  const struct ipv6hdr ip = *seen;
  if (!own_ipv4(tun, ip.saddr.in6_u.u6_addr32)) return drop(skb, tun, CLAT_DROP_SOURCE);
  if (!in_prefix(&tun->prefix, ip.daddr.in6_u.u6_addr32)) return drop(skb, tun, CLAT_DROP_DESTINATION);
  if (has_extension(skb, ip.nexthdr)) return drop(skb, tun, CLAT_DROP_HEADERS);
  struct transport t = {};
  const __u32 length = skb->len - IPV6_HEADER;
  if (skb->gso_size) {
    const int reason = inspect_transport(skb, ip.nexthdr, IPV6_HEADER, length, &t);
    if (reason == CLAT_PUNT_MALFORMED || !t.header_length) return drop(skb, tun, CLAT_DROP_OTHER);
  }
  if (wire_size(skb, IPV6_HEADER, &t, length) > tun->largest_ipv6) return drop(skb, tun, CLAT_DROP_TOO_BIG);
  const int routed = tun->flags & CLAT_FLAG_ROUTED;
  if (!routed && prepare_to_leave(skb, tun)) return drop(skb, tun, CLAT_DROP_KERNEL);
  struct clat_counters* counters = counters_of(tun);
  if (counters) count_flow(skb, &counters->from_clatd, IPV6_HEADER, length, &t);
  return routed ? PASS : leave(skb, tun);
}

// Tun ingress: what clatd writes, which may be hostile. It sends as the CLAT into the NAT64 prefix, and delivers to the
// CLAT's IPv4 address from a possible peer (192.0.0.8, the source of its ICMP errors, is one), or nothing. What the
// uplink program translated comes along here too. Its peer was judged by the same rule, but for this host's subnets.
SEC("tc")
int clat_tun_in(struct __sk_buff* skb) {
  const struct clat_interface* tun = interface_of(skb);
  if (!tun) return DROP;
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) return ipv6_from_clatd(skb, tun);
  if (skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, tun, CLAT_DROP_OTHER);
  const struct iphdr* ip;
  HEADER_AT(ip, skb, 0, drop(skb, tun, CLAT_DROP_OTHER));
  if (ip->version != 4) return drop(skb, tun, CLAT_DROP_OTHER);
  if (!is_own_ipv4(tun, ip->daddr)) return drop(skb, tun, CLAT_DROP_DESTINATION);
  const __u32 peer_be32 = ip->saddr;
  if (!is_plain_peer(tun, peer_be32)) return drop(skb, tun, CLAT_DROP_SOURCE);
  return is_connected(peer_be32) ? drop(skb, tun, CLAT_DROP_CONNECTED) : PASS;
}

// Ingress of a device of the LAN, Ethernet and routed.
SEC("tc")
int clat_lan_in(struct __sk_buff* skb) { return lan_to_uplink(skb); }

// Its egress: what is seen here came through all of the stack.
SEC("tc")
int clat_lan_out(struct __sk_buff* skb) {
  prove_inwards(skb);
  return PASS;
}

const char kLicense[] SEC("license") = "Dual BSD/GPL";
