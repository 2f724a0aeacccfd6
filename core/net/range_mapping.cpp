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

}  // namespace clat
