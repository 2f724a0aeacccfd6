// IPv4 prefixes.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/net/address.hpp"

namespace clat {

struct Ipv4Prefix {
  Ipv4Address address;
  unsigned length = 32;  // 1 to 32

  bool operator==(const Ipv4Prefix&) const = default;
  static Result<Ipv4Prefix> parse(std::string_view text);  // "192.168.1.0/24", no host bits
  [[nodiscard]] std::string text() const { return address.text() + "/" + std::to_string(length); }
  [[nodiscard]] bool contains(const Ipv4Address& other) const {
    return (address.number() ^ other.number()) >> (32 - length) == 0;
  }
  // Without host bits.
  [[nodiscard]] Ipv4Prefix masked() const {
    return {Ipv4Address::from_number(address.number() & ~0U << (32 - length)), length};
  }
};

// Whether one of them lies in the other.
inline bool overlap(const Ipv4Prefix& left, const Ipv4Prefix& right) {
  return left.length < right.length ? left.contains(right.address) : right.contains(left.address);
}

}  // namespace clat
