#include "core/net/pool.hpp"

#include <charconv>

namespace clat {

Ipv4Pool Ipv4Pool::service_continuity() { return Ipv4Pool({{192, 0, 0, 0}}, 29); }

Result<Ipv4Pool> Ipv4Pool::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return failure("an IPv4 pool needs a length, like 192.0.0.0/29");
  const auto network = Ipv4Address::parse(text.substr(0, slash));
  if (!network) return failure("not an IPv4 prefix; expected something like 192.0.0.0/29");
  const auto digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (code != std::errc{} || end != digits.data() + digits.size() || length < 8 || length > 32) {
    return failure("the pool's length is not a number from 8 to 32");
  }
  const std::uint32_t host_bits = length == 32 ? 0 : 0xffffffffU >> length;
  if ((network->number() & host_bits) != 0) {
    return failure("the pool has host bits set; did you mean " +
                   Ipv4Address::from_number(network->number() & ~host_bits).text() + "/" + std::to_string(length) +
                   "?");
  }
  return Ipv4Pool(*network, length);
}

std::string Ipv4Pool::text() const { return network_.text() + "/" + std::to_string(length_); }

bool Ipv4Pool::contains(const Ipv4Address& address) const {
  const unsigned shift = 32 - length_;
  return length_ == 0 || address.number() >> shift == network_.number() >> shift;
}

std::optional<Ipv4Address> Ipv4Pool::first_free(const std::function<bool(const Ipv4Address&)>& is_free) const {
  const bool rotated = *this == service_continuity();
  const std::uint32_t size = 1U << (32 - length_);
  const bool has_ends = !rotated && length_ < 31;
  for (std::uint32_t i = has_ends ? 1 : 0; i < (has_ends ? size - 1 : size); ++i) {
    const auto address = Ipv4Address::from_number(network_.number() + (rotated ? (i + 4) % 8 : i));
    if (is_free(address)) return address;
  }
  return std::nullopt;
}

}  // namespace clat
