// IANA protocol numbers, IPv6 extension headers among them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace clat::xlat {

constexpr std::uint8_t kHopByHop = 0, kIcmp4 = 1, kIgmp = 2, kTcp = 6, kUdp = 17, kDccp = 33, kRouting = 43,
                       kFragment = 44, kAuthentication = 51, kIcmp6 = 58, kDestinationOptions = 60, kUdpLite = 136;

constexpr std::size_t kIpv4Header = 20, kIpv6Header = 40, kFragmentHeader = 8, kIcmpHeader = 8;

// RFC 7915 §5.1: an IPv4 packet of up to this size has DF clear when it is made of an IPv6 one, for IPv6 guarantees
// 1280.
constexpr std::size_t kMayFragment = 1260;

// The other family's number for a protocol: RFC 7915 §4.1 and §5.1 change only ICMP's.
constexpr std::uint8_t counterpart(std::uint8_t protocol) {
  if (protocol == kIcmp4) return kIcmp6;
  return protocol == kIcmp6 ? kIcmp4 : protocol;
}

// Extension headers that translation steps over (RFC 7915 §5.1), the Fragment Header apart.
constexpr bool is_skipped_extension(std::uint8_t next) {
  return next == kHopByHop || next == kRouting || next == kDestinationOptions;
}

// Whose checksum, at `field`, covers the pseudo-header; 0: none that we know of.
constexpr std::size_t checksum_field(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp: return 16;
    case kUdp:
    case kUdpLite:
    case kDccp: return 6;
    case kIcmp4:
    case kIcmp6: return 2;
    default: return 0;
  }
}

}  // namespace clat::xlat
