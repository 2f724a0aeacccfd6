#include "core/net/dns64.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "core/net/ipv6_prefix.hpp"

namespace clat {

namespace {

constexpr std::array<Ipv4Address, 2> kWellKnown{{{{192, 0, 0, 170}}, {{192, 0, 0, 171}}}};

// A place in an address where a well-known IPv4 address stands.
struct Found {
  Nat64Prefix prefix;
  Ipv4Address well_known;
};

std::optional<Found> find_at(const Ipv6Address& address, unsigned length) {
  if (address.bytes[8] != 0) return std::nullopt;  // RFC 6052 §2.2: bits 64 to 71
  const auto prefix = Nat64Prefix::make(Ipv6Prefix{address, length}.masked().address, length);
  if (!prefix) return std::nullopt;
  const auto known = std::ranges::find(kWellKnown, *prefix->extract(address));
  return known == kWellKnown.end() ? std::nullopt : std::optional(Found{*prefix, *known});
}

std::vector<Found> find_all(const Ipv6Address& address) {
  std::vector<Found> all;
  for (const unsigned length : kNat64PrefixLengths) {
    if (const auto found = find_at(address, length)) all.push_back(*found);
  }
  return all;
}

bool has_both(const std::vector<std::vector<Found>>& by_address, const Nat64Prefix& prefix) {
  return std::ranges::all_of(kWellKnown, [&](const Ipv4Address& well_known) {
    return std::ranges::any_of(by_address, [&](const std::vector<Found>& places) {
      return std::ranges::any_of(
          places, [&](const Found& each) { return each.prefix == prefix && each.well_known == well_known; });
    });
  });
}

}  // namespace

// RFC 7050 §3: where the value stands in more than one place, the other well-known address decides. A DNS64 puts both
// behind its prefix, while a value that happens to be part of the prefix stays the same in both.
std::vector<Nat64Prefix> nat64_prefixes_of(std::span<const Ipv6Address> addresses) {
  std::vector<std::vector<Found>> by_address;
  for (const auto& address : addresses.first(std::min(addresses.size(), kMostDns64Addresses))) {
    by_address.push_back(find_all(address));
  }
  std::vector<Nat64Prefix> prefixes;
  for (auto places : by_address) {
    if (places.size() > 1) {
      std::erase_if(places, [&](const Found& each) { return !has_both(by_address, each.prefix); });
    }
    // Two that have both contradict each other.
    if (places.size() != 1 || prefixes.size() == kMostDns64Prefixes) continue;
    const auto& prefix = places.front().prefix;
    if (std::ranges::find(prefixes, prefix) == prefixes.end()) prefixes.push_back(prefix);
  }
  return prefixes;
}

}  // namespace clat
