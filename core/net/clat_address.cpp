#include "core/net/clat_address.hpp"

#include <algorithm>

#include "core/net/checksum.hpp"

namespace clat {

namespace {

// One's complement has two zeros; 0xffff is the other one.
std::uint16_t normalized(std::uint16_t sum) { return sum == 0xffff ? 0 : sum; }

std::uint16_t difference(std::uint16_t left, std::uint16_t right) {
  return normalized(checksum_fold(std::uint32_t{left} + static_cast<std::uint16_t>(~right)));
}

}  // namespace

std::uint16_t checksum_delta(const Ipv6Address& clat, const Ipv4Address& v4, const Nat64Prefix& prefix) {
  const auto six = checksum_fold(checksum_add(prefix.address().bytes, checksum_add(clat.bytes)));
  return difference(six, checksum_fold(checksum_add(v4.bytes)));
}

Ipv6Address make_clat_ipv6(const Ipv6Address& subnet, const Ipv4Address& v4, const Nat64Prefix& prefix,
                           std::uint64_t random) {
  Ipv6Address address = subnet;
  for (std::size_t i = 8; i < 16; ++i) {
    address.bytes[i] = static_cast<std::uint8_t>(random >> (8 * (15 - i)));
  }
  // Word 5 (octets 10-11) of the result carries the correction, as good a place as any.
  address.bytes[10] = address.bytes[11] = 0;
  const auto missing = static_cast<std::uint16_t>(difference(0, checksum_delta(address, v4, prefix)));
  address.bytes[10] = static_cast<std::uint8_t>(missing >> 8);
  address.bytes[11] = static_cast<std::uint8_t>(missing);
  const bool anycast = std::all_of(address.bytes.begin() + 8, address.bytes.end(), [](auto byte) { return byte == 0; });
  return anycast ? make_clat_ipv6(subnet, v4, prefix, random + 1) : address;
}

}  // namespace clat
