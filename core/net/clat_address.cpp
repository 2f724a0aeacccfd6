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

namespace {

// `subnet` with the bits behind the subnet's taken from `random`.
Ipv6Address filled(const Ipv6Prefix& subnet, std::uint64_t random) {
  Ipv6Address address = subnet.address;
  for (unsigned i = 8; i < 16; ++i) {
    const unsigned kept = std::clamp(subnet.length, 8 * i, 8 * i + 8) - 8 * i;
    const auto ours = static_cast<std::uint8_t>(0xffU >> kept);
    const auto byte = static_cast<std::uint8_t>(random >> (8 * (15 - i)));
    address.bytes[i] = static_cast<std::uint8_t>((address.bytes[i] & ~ours) | (byte & ours));
  }
  return address;
}

// Octets 10 and 11 where they are ours, else the first 16-bit word that is.
std::size_t correcting_octet(const Ipv6Prefix& subnet) {
  return std::max<std::size_t>(10, (subnet.length + 15) / 16 * 2);
}

void make_neutral(Ipv6Address& address, std::size_t octet, const Ipv4Address& v4, const Nat64Prefix& prefix) {
  address.bytes[octet] = address.bytes[octet + 1] = 0;
  const auto missing = static_cast<std::uint16_t>(difference(0, checksum_delta(address, v4, prefix)));
  address.bytes[octet] = static_cast<std::uint8_t>(missing >> 8);
  address.bytes[octet + 1] = static_cast<std::uint8_t>(missing);
}

}  // namespace

Ipv6Address make_clat_ipv6(const Ipv6Prefix& subnet, const Ipv4Address& v4, const Nat64Prefix& prefix,
                           std::uint64_t random, Neutrality neutrality) {
  const Ipv6Prefix base = subnet.masked();
  const bool neutral = neutrality == Neutrality::wanted && has_neutral_addresses(base);
  Ipv6Address address = filled(base, random);
  if (neutral) make_neutral(address, correcting_octet(base), v4, prefix);
  if (address != base.address) return address;
  // A /112 has one neutral address, and here that is the anycast one.
  const bool no_other = neutral && !has_many_neutral_addresses(base);
  return make_clat_ipv6(base, v4, prefix, random + 1, no_other ? Neutrality::given_up : neutrality);
}

}  // namespace clat
