// The counters of an uplink, added up by direction and path. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "supervisor/model/status.hpp"

namespace clat::render {

struct Flow {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Flow&) const = default;
};

// tx: towards the NAT64 (IPv4 to IPv6). rx: from there. As counted before translation, bytes from the IP header on.
struct Traffic {
  Flow fast_tx, fast_rx;          // in the kernel, through its stack
  Flow shortcut_tx, shortcut_rx;  // in the kernel, past it: between the LAN and the uplink
  Flow clatd_tx, clatd_rx;        // by clatd
  std::uint64_t dropped = 0;
  std::uint64_t punted = 0;  // packets that the fast path left to clatd
  bool operator==(const Traffic&) const = default;
};

Traffic traffic(const model::Counters& counters);
// A second's share of what came since the last look; none before the second look.
std::optional<Traffic> traffic_per_second(const model::Counted& counted);

// One counter taken apart, by its name: "fast_to_ipv6_tcp_packets".
struct Parsed {
  enum class Kind : std::uint8_t { packets, bytes, drop, punt, other };
  Kind kind = Kind::other;
  bool fast = false;      // in the kernel, else by clatd
  bool shortcut = false;  // past the stack
  bool to_ipv6 = false;   // of packets, bytes and punts
  std::string_view what;  // protocol or reason; of others the name
};
Parsed parse_counter(std::string_view name);

}  // namespace clat::render
