#include "core/net/ipv6_prefix.hpp"

#include <bit>
#include <cstdint>

#include "core/base/numbers.hpp"

namespace clat {

Ipv6Prefix Ipv6Prefix::masked() const {
  Ipv6Prefix result = *this;
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned kept = length <= 8 * i ? 0 : length - 8 * i;
    if (kept < 8) result.address.bytes[i] &= static_cast<std::uint8_t>(0xff00U >> kept);
  }
  return result;
}

Result<Ipv6Prefix> Ipv6Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = Ipv6Address::parse(text.substr(0, slash));
  if (slash == std::string_view::npos || !address) {
    return failure("not an IPv6 prefix; expected something like 2001:db8:1::/64");
  }
  const auto length = parse_number<unsigned>(text.substr(slash + 1), 1, 128);
  if (!length) return failure("the prefix's length is not a number from 1 to 128");
  const Ipv6Prefix prefix{*address, *length};
  if (prefix == prefix.masked()) return prefix;
  return failure("the prefix has bits set behind it; did you mean " + prefix.masked().text() + "?");
}

unsigned common_prefix_length(const Ipv6Address& left, const Ipv6Address& right) {
  for (unsigned i = 0; i < 16; ++i) {
    const auto difference = static_cast<std::uint8_t>(left.bytes[i] ^ right.bytes[i]);
    if (difference != 0) return 8 * i + static_cast<unsigned>(std::countl_zero(difference));
  }
  return 128;
}

}  // namespace clat
