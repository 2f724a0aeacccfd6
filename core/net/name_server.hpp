// DNS servers as resolv.conf(5) lists them.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "core/net/address.hpp"

namespace clat {

struct NameServer {
  Ipv6Address address;  // IPv4-mapped where it is an IPv4 loopback address
  bool operator==(const NameServer&) const = default;

  // Of this host: it asks others on a way of its own, whatever uplink that takes.
  [[nodiscard]] bool is_loopback() const;
};

constexpr std::size_t kMostNameServers = 4;

// Those that can be asked over `device`: IPv6 addresses, link-local ones of this device alone, and behind them those of
// this host. In the file's order, each once. Of a file that netifd wrote, "# Interface NAME" above each part, those of
// the part that is named as the device, where there is one.
std::vector<NameServer> parse_name_servers(std::string_view resolv_conf, std::string_view device);

}  // namespace clat
