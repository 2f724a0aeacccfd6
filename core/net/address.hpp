// IPv4, IPv6 and Ethernet addresses as plain values in network byte order.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clat {

struct Ipv4Address {
  std::array<std::uint8_t, 4> bytes{};

  auto operator<=>(const Ipv4Address&) const = default;

  // The address as a host-order number: 192.0.0.4 is 0xc0000004.
  [[nodiscard]] constexpr std::uint32_t number() const {
    return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
  }
  static constexpr Ipv4Address from_number(std::uint32_t n) {
    return {{static_cast<std::uint8_t>(n >> 24), static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8),
             static_cast<std::uint8_t>(n)}};
  }
  // 169.254.0.0/16 (RFC 3927).
  [[nodiscard]] constexpr bool is_link_local() const { return bytes[0] == 169 && bytes[1] == 254; }
  // Dotted quad only, as inet_pton takes it; nothing around it.
  static std::optional<Ipv4Address> parse(std::string_view text);
  [[nodiscard]] std::string text() const;
};

// The IPv4 dummy address (RFC 7600 §4.8): the source of ICMP errors that have no IPv4 source of their own.
constexpr Ipv4Address kDummyIpv4{{192, 0, 0, 8}};

struct Ipv6Address {
  std::array<std::uint8_t, 16> bytes{};

  // As two numbers: with hundreds of uplinks each address is compared with thousands.
  constexpr bool operator==(const Ipv6Address& other) const {
    using Halves = std::array<std::uint64_t, 2>;
    const auto ours = std::bit_cast<Halves>(bytes);
    const auto theirs = std::bit_cast<Halves>(other.bytes);
    return ours[1] == theirs[1] && ours[0] == theirs[0];
  }
  auto operator<=>(const Ipv6Address&) const = default;

  // RFC 4291 text forms, without zone or length.
  static std::optional<Ipv6Address> parse(std::string_view text);
  // RFC 5952 form.
  [[nodiscard]] std::string text() const;

  [[nodiscard]] constexpr bool is_unspecified() const { return *this == Ipv6Address{}; }
  [[nodiscard]] constexpr bool is_multicast() const { return bytes[0] == 0xff; }
  [[nodiscard]] constexpr bool is_link_local() const { return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80; }
  // ::ffff:0:0/96 (RFC 4291 §2.5.5.2): how sockets write IPv4 addresses; no packet carries one.
  [[nodiscard]] constexpr bool is_ipv4_mapped() const {
    for (std::size_t i = 0; i < 10; ++i) {
      if (bytes[i] != 0) return false;
    }
    return bytes[10] == 0xff && bytes[11] == 0xff;
  }
  // fc00::/7 (RFC 4193).
  [[nodiscard]] constexpr bool is_unique_local() const { return (bytes[0] & 0xfe) == 0xfc; }
  [[nodiscard]] bool same_first_bits(const Ipv6Address& other, unsigned bits) const;
};

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  auto operator<=>(const MacAddress&) const = default;
  [[nodiscard]] std::string text() const;  // "02:00:00:00:00:01"
};

}  // namespace clat
