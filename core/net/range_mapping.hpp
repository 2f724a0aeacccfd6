// Ranges of IPv4 addresses on the CLAT's side that have IPv6 addresses of their own (RFC 6877 §6.3).
#pragma once

#include <string>
#include <string_view>

#include "core/net/address.hpp"
#include "core/net/error.hpp"
#include "core/net/prefix.hpp"

namespace clat {

struct Ipv4Prefix {
  Ipv4Address address;
  unsigned length = 32;

  bool operator==(const Ipv4Prefix&) const = default;
  static Result<Ipv4Prefix> parse(std::string_view text);  // "192.168.1.0/24", lengths 1 to 32, no host bits
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool contains(const Ipv4Address& other) const {
    return (address.number() ^ other.number()) >> (32 - length) == 0;
  }
};

// 192.168.1.0/24 and 2001:db8:1:c1a7::/96 map 192.168.1.9 to 2001:db8:1:c1a7::c0a8:109 and back.
struct RangeMapping {
  Ipv4Prefix v4;
  Nat64Prefix v6;

  bool operator==(const RangeMapping&) const = default;
  static Result<RangeMapping> parse(std::string_view text);  // "192.168.1.0/24=2001:db8:1:c1a7::/96"
  [[nodiscard]] std::string text() const;
};

}  // namespace clat
