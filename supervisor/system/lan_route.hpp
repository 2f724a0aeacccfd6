// The way of the kernel from a CLAT's tun to a host of the LAN.
#pragma once

#include <optional>

#include "core/net/address.hpp"
#include "supervisor/system/netlink_socket.hpp"

namespace clat::system {

struct LanRoute {
  int device = 0;        // ifindex
  Ipv4Address next_hop;  // the host itself where it is on the link
  bool operator==(const LanRoute&) const = default;
};
// The answer to ask_way_to_lan(). Nothing: its packets are not forwarded, or in a way that no program can go.
std::optional<LanRoute> parse_lan_route(const Message& message, const Ipv4Address& host);

// As a packet that came in by `tun` goes.
Request ask_way_to_lan(int tun, const Ipv4Address& from, const Ipv4Address& host);

}  // namespace clat::system
