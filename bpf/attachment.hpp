// What the programs of one uplink need to know, as passive values (no libbpf here).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/link_layer.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"

namespace clat::bpf {

struct Attachment {
  std::string uplink;
  int uplink_ifindex = 0;
  int tun_ifindex = 0;
  LinkLayer layer = LinkLayer::ethernet;
  MacAddress mac = {};  // of the uplink; answers Neighbour Solicitations
  Ipv4Address v4 = {};  // the CLAT's own addresses
  Ipv6Address v6 = {};
  Nat64Prefix prefix;
  // The router towards the NAT64; none: it is on the link itself. Given, the programs need no route lookup per packet,
  // and a default route of lower metric on another uplink does not mislead them.
  std::optional<Ipv6Address> next_hop = {};
  std::uint32_t uplink_mtu = 0;           // IPv6 MTU towards the NAT64, bytes
  std::uint32_t lowest_ipv6_mtu = 0;      // DF=0 packets above it are punted (RFC 7915 §4.1), bytes
  std::uint32_t mark = 0;                 // fwmark of what leaves the uplink; 0: left alone
  std::uint32_t ipv4_mtu = 65535;         // of the IPv4 side: a tun takes whatever comes, bytes
  std::vector<RangeMapping> ranges = {};  // at most CLAT_MAX_RANGES; the first that fits counts
  bool allow_private_ipv4 = false;        // private peers behind 64:ff9b::/96 (RFC 6052 §3.1)
  // The translator reads the uplink by a packet socket of its own: what is punted goes on to the stack, as a packet for
  // another host, which drops it without a word.
  bool packet_socket = false;
  // Flows of the LAN that are known to be let through go past the stack, towards the NAT64 and from there.
  bool shortcut_out = false;
  bool shortcut_in = false;
  // Somebody else may have `v6` (RFC 4429): answers do not override what neighbours know, and who probes for it gets
  // none.
  bool optimistic = false;

  bool operator==(const Attachment&) const = default;
};

// Whether nothing but `optimistic` differs, which is no part of the map entry.
inline bool is_same_entry(Attachment one, const Attachment& other) {
  one.optimistic = other.optimistic;
  return one == other;
}

// The check on what clatd writes into its tun. It stands with the fast path and without.
struct Filter {
  // IPv6 that passes leaves by the uplink at once, as the fast path's packets do. Or else it goes on to the stack,
  // which routes it by the operator's rules.
  bool routed = false;
  Attachment by;
  bool operator==(const Filter&) const = default;
};

}  // namespace clat::bpf
