// Ranges of IPv4 addresses on the CLAT's side that have IPv6 addresses of their own (RFC 6877 §6.3).
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/net/ipv4_prefix.hpp"
#include "core/net/ipv6_prefix.hpp"
#include "core/net/prefix.hpp"

namespace clat {

// 192.168.1.0/24 and 2001:db8:1:c1a7::/96 map 192.168.1.9 to 2001:db8:1:c1a7::c0a8:109 and back.
struct RangeMapping {
  Ipv4Prefix v4;
  Nat64Prefix v6;

  bool operator==(const RangeMapping&) const = default;
  static Result<RangeMapping> parse(std::string_view text);  // "192.168.1.0/24=2001:db8:1:c1a7::/96"
  [[nodiscard]] std::string text() const;

  // The longest prefix in which all its IPv6 addresses lie. Under a /96 there is nothing else in it; under the shorter
  // ones there are addresses whose u-octet or suffix is not zero.
  [[nodiscard]] Ipv6Prefix covered() const;
  // Whether an address is one of these: equal to `covered()`'s where the bits of this mask are set.
  [[nodiscard]] Ipv6Address exact_mask() const;
};

}  // namespace clat
