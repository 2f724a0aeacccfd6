#include "core/xlat/mapping.hpp"

#include <algorithm>

namespace clat::xlat {

OwnSide::OwnSide(const Ipv4Address& v4, const Ipv6Address& v6, std::span<const RangeMapping> ranges)
    : v4_(v4.number()), v6_(load_halves(v6.bytes.data())), count_(std::min(ranges.size(), kMostRanges)) {
  std::ranges::transform(ranges.first(count_), ranges_.begin(), [](const RangeMapping& range) {
    return Range{range.v4.address.number(), ~0U << (32 - range.v4.length), Mapping(range.v6)};
  });
}

std::optional<Halves> OwnSide::find_in_ranges(std::uint32_t v4) const {
  const auto ranges = std::span(ranges_).first(count_);
  const auto range = std::ranges::find_if(ranges, [&](const Range& r) { return r.contains(v4); });
  if (range == ranges.end()) return std::nullopt;
  return range->mapping.embed(v4);
}

// Exactly the address that we would send from: u-octet and suffix are no other's to choose here (RFC 6052 §2.2).
std::optional<std::uint32_t> OwnSide::find_in_ranges(const Halves& v6) const {
  for (const Range& range : std::span(ranges_).first(count_)) {
    if (!range.mapping.contains(v6)) continue;
    const std::uint32_t v4 = range.mapping.extract(v6);
    if (range.contains(v4) && range.mapping.embed(v4) == v6) return v4;
  }
  return std::nullopt;
}

}  // namespace clat::xlat
