#include "core/net/range_mapping.hpp"

namespace clat {

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

Ipv6Prefix RangeMapping::covered() const {
  constexpr unsigned kUOctet = 64;  // its first bit; RFC 6052 §2.2 steps over it
  const unsigned end = v6.length() + v4.length;
  return {v6.embed(v4.address), v6.length() <= kUOctet && end > kUOctet ? end + 8 : end};
}

Ipv6Address RangeMapping::exact_mask() const {
  const std::uint32_t host_bits = v4.length == 32 ? 0 : ~0U >> v4.length;
  const auto first = v6.embed(v4.address), last = v6.embed(Ipv4Address::from_number(v4.address.number() | host_bits));
  Ipv6Address mask;
  for (std::size_t i = 0; i < mask.bytes.size(); ++i) {
    mask.bytes[i] = static_cast<std::uint8_t>(~(first.bytes[i] ^ last.bytes[i]));
  }
  return mask;
}

}  // namespace clat
