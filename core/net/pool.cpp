#include "core/net/pool.hpp"

#include "core/base/numbers.hpp"

namespace clat {

Ipv4Pool Ipv4Pool::service_continuity() { return Ipv4Pool({{{192, 0, 0, 0}}, 29}); }

Result<Ipv4Pool> Ipv4Pool::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return failure("an IPv4 pool needs a length, like 192.0.0.0/29");
  const auto network = Ipv4Address::parse(text.substr(0, slash));
  if (!network) return failure("not an IPv4 prefix; expected something like 192.0.0.0/29");
  const auto length = parse_number<unsigned>(text.substr(slash + 1), 8, 32);
  if (!length) return failure("the pool's length is not a number from 8 to 32");
  const Ipv4Prefix prefix{*network, *length};
  if (prefix == prefix.masked()) return Ipv4Pool(prefix);
  return failure("the pool has host bits set; did you mean " + prefix.masked().text() + "?");
}

std::optional<Ipv4Address> Ipv4Pool::first_free(const std::function<bool(const Ipv4Address&)>& is_free) const {
  const bool rotated = *this == service_continuity();
  const std::uint32_t size = 1U << (32 - prefix_.length);
  const bool has_ends = !rotated && prefix_.length < 31;
  for (std::uint32_t i = has_ends ? 1 : 0; i < (has_ends ? size - 1 : size); ++i) {
    const auto address = Ipv4Address::from_number(prefix_.address.number() + (rotated ? (i + 4) % 8 : i));
    if (is_free(address)) return address;
  }
  return std::nullopt;
}

}  // namespace clat
