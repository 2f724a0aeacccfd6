// Sizes that translation adds and takes away.
#pragma once

#include <algorithm>
#include <cstdint>

namespace clat {

constexpr std::uint32_t kIpv6MinimumMtu = 1280;  // RFC 8200 §5
constexpr std::uint32_t kLargestIpv6Mtu = 65'535;
// The largest IPv6 MTU that a CLAT makes use of. bpf_skb_change_head refuses a translated packet above some 16,064
// bytes unless it is a GSO packet (SKB_MAX_ALLOC with 4 KiB pages), so on links that carry more, IPv4 is kept below
// that.
constexpr std::uint32_t kLargestClatMtu = 16'000;
constexpr std::uint32_t kHeaderDifference = 20;  // IPv6 header 40, IPv4 header 20
constexpr std::uint32_t kFragmentHeader = 8;     // RFC 8200 §4.5

// The tun's MTU: what fits the uplink's IPv6 MTU after translation, with room for a Fragment Header.
constexpr std::uint32_t tun_mtu(std::uint32_t uplink_ipv6_mtu) {
  return std::max(uplink_ipv6_mtu, kIpv6MinimumMtu) - kHeaderDifference - kFragmentHeader;
}

}  // namespace clat
