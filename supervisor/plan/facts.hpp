// What the kernel says exists, as passive values. supervisor/system reads them from netlink.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/link_layer.hpp"

namespace clat::plan {

// Steady: steps of the wall clock change nothing.
using TimePoint = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

struct Link {
  int ifindex = 0;
  std::string name;
  bool up = false;        // IFF_UP
  bool carrier = false;   // IFF_LOWER_UP
  std::uint32_t mtu = 0;  // the smaller of the link's and its IPv6 MTU, bytes
  LinkLayer layer = LinkLayer::other;
  MacAddress mac;
  bool operator==(const Link&) const = default;
};

struct Ipv6OnLink {
  Ipv6Address address;
  std::uint8_t length = 0;
  bool usable = false;  // global scope, neither tentative nor DAD-failed
  bool deprecated = false;
  bool temporary = false;  // RFC 8981
  bool operator==(const Ipv6OnLink&) const = default;
};

// The way from one uplink to an address, as the kernel would go if it had to leave by that uplink.
struct Route {
  std::optional<Ipv6Address> next_hop;  // none: on the link
  std::optional<std::uint32_t> mtu;     // a limit that the route sets, bytes
  bool operator==(const Route&) const = default;
};

struct Kernel {
  std::map<int, Link> links;  // by ifindex
  std::map<int, std::vector<Ipv6OnLink>> ipv6;
  std::map<int, std::vector<Ipv4Address>> ipv4;
  bool operator==(const Kernel&) const = default;
};

}  // namespace clat::plan
