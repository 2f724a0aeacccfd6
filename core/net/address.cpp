#include "core/net/address.hpp"

#include <arpa/inet.h>

#include <cstdio>
#include <cstring>

namespace clat {

namespace {

// inet_pton wants a terminated string; addresses are short, so anything longer is no address.
template <class Address>
std::optional<Address> parse_with(int family, std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(terminated.data(), text.data(), text.size());
  Address address;
  if (inet_pton(family, terminated.data(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

template <class Address>
std::string text_with(int family, const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(family, address.bytes.data(), buffer.data(), buffer.size());
  return buffer.data();
}

}  // namespace

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) { return parse_with<Ipv4Address>(AF_INET, text); }
std::string Ipv4Address::text() const { return text_with(AF_INET, *this); }

std::optional<Ipv6Address> Ipv6Address::parse(std::string_view text) { return parse_with<Ipv6Address>(AF_INET6, text); }
std::string Ipv6Address::text() const { return text_with(AF_INET6, *this); }

bool Ipv6Address::same_first_bits(const Ipv6Address& other, unsigned bits) const {
  const unsigned whole = bits / 8;
  if (std::memcmp(bytes.data(), other.bytes.data(), whole) != 0) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
  return ((bytes[whole] ^ other.bytes[whole]) & mask) == 0;
}

std::string MacAddress::text() const {
  std::array<char, 18> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3],
                bytes[4], bytes[5]);
  return buffer.data();
}

}  // namespace clat
