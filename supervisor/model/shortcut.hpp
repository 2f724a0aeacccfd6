// The shortcut between devices of the LAN and the uplinks, as passive values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/ipv4_prefix.hpp"
#include "core/net/prefix.hpp"

namespace clat::model {

// Why a device of the LAN is not served. uplink: it is one, or a tun of ours.
enum class Unserved : std::uint8_t { absent, no_ethernet, uplink, no_fast_path };

// What differs in anything is another one: flows that take it are forgotten and have to prove themselves again.
struct ShortcutSpec {
  struct Lan {
    int ifindex = 0;
    std::string name;
    std::uint32_t mtu = 0;  // bytes
    bool operator==(const Lan&) const = default;
  };
  struct Clat {
    int uplink = 0;  // ifindexes
    int tun = 0;
    Ipv4Address v4 = {};
    Ipv6Address v6 = {};
    Nat64Prefix prefix;
    std::vector<Ipv4Prefix> mapped = {};  // one to one
    bool operator==(const Clat&) const = default;
  };
  std::vector<Lan> lans = {};
  std::vector<Clat> clats = {};
  unsigned reloads = 0;  // of the config

  bool operator==(const ShortcutSpec&) const = default;
  [[nodiscard]] bool is_served() const { return !lans.empty() && !clats.empty(); }
};

}  // namespace clat::model
