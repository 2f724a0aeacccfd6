#include "core/net/range_mapping.hpp"

#include <charconv>

namespace clat {

Result<Ipv4Prefix> Ipv4Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = Ipv4Address::parse(text.substr(0, slash));
  if (slash == std::string_view::npos || !address) {
    return failure("not an IPv4 prefix; expected something like 192.168.1.0/24");
  }
  const auto digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (code != std::errc{} || end != digits.data() + digits.size() || length < 1 || length > 32) {
    return failure("the prefix's length is not a number from 1 to 32");
  }
  const std::uint32_t host_bits = length == 32 ? 0 : 0xffffffffU >> length;
  if ((address->number() & host_bits) != 0) {
    return failure("the prefix has host bits set; did you mean " +
                   Ipv4Address::from_number(address->number() & ~host_bits).text() + "/" + std::to_string(length) +
                   "?");
  }
  return Ipv4Prefix{*address, length};
}

std::string Ipv4Prefix::text() const { return address.text() + "/" + std::to_string(length); }

Result<RangeMapping> RangeMapping::parse(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) {
    return failure("expected IPV4/LENGTH=IPV6/LENGTH, like 192.168.1.0/24=2001:db8:1:c1a7::/96");
  }
  const auto v4 = Ipv4Prefix::parse(text.substr(0, equals));
  if (!v4) return std::unexpected(v4.error());
  const auto v6 = Nat64Prefix::parse(text.substr(equals + 1));
  if (!v6) return std::unexpected(v6.error());
  return RangeMapping{*v4, *v6};
}

std::string RangeMapping::text() const { return v4.text() + "=" + v6.text(); }

}  // namespace clat
