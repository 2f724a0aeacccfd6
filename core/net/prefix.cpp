#include "core/net/prefix.hpp"

#include <algorithm>
#include <array>

#include "core/base/numbers.hpp"
#include "core/net/ipv6_prefix.hpp"

namespace clat {

namespace {

// Byte positions of the embedded IPv4 octets, octet 8 stepped over.
constexpr std::array<std::size_t, 4> positions(unsigned length) {
  std::array<std::size_t, 4> at{};
  std::size_t next = length / 8;
  for (auto& position : at) {
    if (next == 8) ++next;
    position = next++;
  }
  return at;
}

// Where no PLAT can be, whatever stands behind.
Result<> judge_block(const Ipv6Address& address) {
  if (address.is_ipv4_mapped()) {
    return failure("IPv4-mapped addresses (RFC 4291 §2.5.5.2) cannot be a NAT64 prefix: no packet carries them");
  }
  if (address.is_multicast() || address.is_link_local() || address.is_unspecified()) {
    return failure(address.text() + " cannot be a NAT64 prefix");
  }
  // Among them IPv4-compatible addresses, and IPv4-translated ones (RFC 2765), which RFC 6052 replaced.
  if (address.same_first_bits({}, 32)) return failure("::/32 is reserved: no NAT64 prefix lies in it");
  return {};
}

}  // namespace

Result<Nat64Prefix> Nat64Prefix::make(const Ipv6Address& address, unsigned length) {
  if (std::ranges::find(kNat64PrefixLengths, length) == kNat64PrefixLengths.end()) {
    return failure("prefix length /" + std::to_string(length) + " is none of RFC 6052's: 32, 40, 48, 56, 64, 96");
  }
  if (auto fit = judge_block(address); !fit) return std::unexpected(std::move(fit.error()));
  if (length == 96 && address.bytes[8] != 0)
    return failure("bits 64-71 of a /96 NAT64 prefix must be zero (RFC 6052 §2.2)");
  const Ipv6Prefix given{address, length};
  if (const auto masked = given.masked(); given != masked) {
    return failure(given.text() + " has bits set behind the prefix; did you mean " + masked.text() + "?");
  }
  return Nat64Prefix(address, length);
}

Result<Nat64Prefix> Nat64Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return failure("a NAT64 prefix needs a length, like 64:ff9b::/96");
  const auto address = Ipv6Address::parse(text.substr(0, slash));
  if (!address) {
    if (Ipv4Address::parse(text.substr(0, slash))) return failure("a NAT64 prefix is IPv6, like 64:ff9b::/96");
    return failure("not an IPv6 prefix; expected something like 64:ff9b::/96");
  }
  const auto length = parse_number<unsigned>(text.substr(slash + 1), 0, 128);
  if (!length) return failure("the prefix length is not a number from 0 to 128");
  return make(*address, *length);
}

std::string Nat64Prefix::text() const { return address_.text() + "/" + std::to_string(length_); }

bool Nat64Prefix::contains(const Ipv6Address& address) const { return address_.same_first_bits(address, length_); }

Ipv6Address Nat64Prefix::embed(const Ipv4Address& v4) const {
  Ipv6Address address = address_;
  const auto at = positions(length_);
  for (std::size_t i = 0; i < 4; ++i) address.bytes[at[i]] = v4.bytes[i];
  return address;
}

std::optional<Ipv4Address> Nat64Prefix::extract(const Ipv6Address& address) const {
  if (!contains(address)) return std::nullopt;
  Ipv4Address v4;
  const auto at = positions(length_);
  for (std::size_t i = 0; i < 4; ++i) v4.bytes[i] = address.bytes[at[i]];
  return v4;
}

bool Nat64Prefix::is_well_known() const {
  constexpr Ipv6Address kWellKnown{{0, 0x64, 0xff, 0x9b}};
  return length_ == 96 && address_ == kWellKnown;
}

}  // namespace clat
