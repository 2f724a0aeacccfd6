// Sizes that translation adds and takes away.
#pragma once

#include <algorithm>
#include <cstdint>

namespace clat {

constexpr std::uint32_t kIpv6MinimumMtu = 1280;  // RFC 8200 §5
// bpf_skb_change_head refuses a packet above about 16,064 bytes that is no GSO packet (SKB_MAX_ALLOC with 4 KiB pages),
// after it was translated. On links that could carry more, IPv4 is kept below that.
constexpr std::uint32_t kLargestMtu = 16'000;
constexpr std::uint32_t kHeaderDifference = 20;  // IPv6 header 40, IPv4 header 20
constexpr std::uint32_t kFragmentHeader = 8;     // RFC 8200 §4.5

// The tun's MTU: what fits the uplink's IPv6 MTU after translation, with room for a Fragment Header.
constexpr std::uint32_t tun_mtu(std::uint32_t uplink_ipv6_mtu) {
  return std::max(uplink_ipv6_mtu, kIpv6MinimumMtu) - kHeaderDifference - kFragmentHeader;
}

}  // namespace clat
