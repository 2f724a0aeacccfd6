// NAT64 prefixes and IPv4-embedded IPv6 addresses (RFC 6052).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "core/net/ipv6_prefix.hpp"

namespace clat {

// RFC 6052 §2.2.
constexpr std::array<unsigned, 6> kNat64PrefixLengths{32, 40, 48, 56, 64, 96};

// An RFC 6052 §2.2 prefix: length 32, 40, 48, 56, 64 or 96, no bit set behind it, bits 64-71 zero.
class Nat64Prefix {
 public:
  // "64:ff9b::/96". The error says which rule is broken.
  static Result<Nat64Prefix> parse(std::string_view text);
  static Result<Nat64Prefix> make(const Ipv6Address& address, unsigned length);

  auto operator<=>(const Nat64Prefix&) const = default;

  [[nodiscard]] const Ipv6Address& address() const { return address_; }
  [[nodiscard]] unsigned length() const { return length_; }
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Ipv6Prefix as_prefix() const { return {address_, length_}; }

  [[nodiscard]] bool contains(const Ipv6Address& address) const;
  // RFC 6052 §2.2: the four octets behind the prefix, octet 8 (the u-octet) left zero, suffix zero.
  [[nodiscard]] Ipv6Address embed(const Ipv4Address& v4) const;
  // RFC 6052 §2.3. Nothing when the address lies outside the prefix; u-octet and suffix are ignored.
  [[nodiscard]] std::optional<Ipv4Address> extract(const Ipv6Address& address) const;
  // 64:ff9b::/96, which carries no private IPv4 addresses unless somebody allows it (RFC 6052 §3.1).
  [[nodiscard]] bool is_well_known() const;
  // Whether embedding keeps the 16-bit words of the IPv4 address whole (/32 and /96), so that one choice of the
  // CLAT's own address makes the L4 checksum equal for every peer.
  [[nodiscard]] bool keeps_words() const { return length_ == 32 || length_ == 96; }

 private:
  Nat64Prefix(const Ipv6Address& address, unsigned length) : address_(address), length_(length) {}
  Ipv6Address address_;
  unsigned length_;
};

}  // namespace clat
