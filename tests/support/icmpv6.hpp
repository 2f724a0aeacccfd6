// Makes an ICMPv6 packet right that a test has put together or harmed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/net/checksum.hpp"

namespace clat::test {

// What a receiver of neighbour discovery wants of an IPv6 header, but for the addresses.
inline void make_nd_header(std::vector<std::uint8_t>& packet) {
  const auto length = packet.size() - 40;
  packet[0] = 0x60;
  packet[4] = static_cast<std::uint8_t>(length >> 8);
  packet[5] = static_cast<std::uint8_t>(length);
  packet[6] = 58;
  packet[7] = 255;
}

// Without extension headers; all behind the IPv6 header is the message.
inline void set_icmpv6_checksum(std::vector<std::uint8_t>& packet) {
  constexpr std::size_t kHeader = 40;
  constexpr std::uint32_t kIcmpv6 = 58;
  packet[kHeader + 2] = packet[kHeader + 3] = 0;
  const std::span<const std::uint8_t> all(packet);
  const auto pseudo = checksum_add(all.subspan(8, 32), static_cast<std::uint32_t>(packet.size() - kHeader) + kIcmpv6);
  const auto sum = static_cast<std::uint16_t>(~checksum_fold(checksum_add(all.subspan(kHeader), pseudo)));
  packet[kHeader + 2] = static_cast<std::uint8_t>(sum >> 8);
  packet[kHeader + 3] = static_cast<std::uint8_t>(sum);
}

}  // namespace clat::test
