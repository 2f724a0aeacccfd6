// The sizes that packets may have.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/net/mtu.hpp"

namespace clat::xlat {

// Bytes of a whole packet, IP header included.
struct Mtus {
  std::uint32_t ipv6 = 1500;         // of the uplink's route to the NAT64 prefix
  std::uint32_t ipv4 = 65535;        // of the IPv4 side; a tun takes whatever is written to it
  std::uint32_t lowest_ipv6 = 1500;  // RFC 7915 §4.1: IPv4 packets with DF=0 become no larger packets than this

  bool operator==(const Mtus&) const = default;

  // Brought within limits: IPv6 has a smallest MTU, and no packet larger than the uplink's MTU goes out.
  [[nodiscard]] Mtus sane() const {
    const auto six = std::clamp(ipv6, kIpv6MinimumMtu, kLargestIpv6Mtu);
    return {six, std::clamp(ipv4, 68U, 65535U), std::clamp(lowest_ipv6, kIpv6MinimumMtu, six)};
  }
};

}  // namespace clat::xlat
