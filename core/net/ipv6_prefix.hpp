// IPv6 prefixes: subnets of links, and what is delegated.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/net/address.hpp"

namespace clat {

struct Ipv6Prefix {
  Ipv6Address address;
  unsigned length = 128;  // 0 to 128

  bool operator==(const Ipv6Prefix&) const = default;
  static Result<Ipv6Prefix> parse(std::string_view text);  // "2001:db8:1::/64", length 1 to 128, no bits behind it
  [[nodiscard]] std::string text() const { return address.text() + "/" + std::to_string(length); }
  [[nodiscard]] bool contains(const Ipv6Address& other) const { return address.same_first_bits(other, length); }
  // Without the bits behind it.
  [[nodiscard]] Ipv6Prefix masked() const;
};

// How many of the first bits are the same, 0 to 128.
unsigned common_prefix_length(const Ipv6Address& left, const Ipv6Address& right);

// Whether one of them lies in the other.
inline bool overlap(const Ipv6Prefix& left, const Ipv6Prefix& right) {
  return left.length < right.length ? left.contains(right.address) : right.contains(left.address);
}

}  // namespace clat
