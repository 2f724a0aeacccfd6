// What a router advertisement (RFC 4861 §4.2) says that a CLAT wants to know.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "core/net/prefix.hpp"

namespace clat {

// Of the PREF64 option (RFC 8781). A lifetime of 0 withdraws it.
struct AdvertisedPrefix {
  Nat64Prefix prefix;
  std::chrono::seconds lifetime{};  // 0 to 65528
  bool operator==(const AdvertisedPrefix&) const = default;
};

// Of one advertisement, more than anybody needs.
constexpr std::size_t kMostAdvertisedPrefixes = 8;

struct RouterAdvertisement {
  Ipv6Address router;                           // link-local
  std::vector<AdvertisedPrefix> prefixes = {};  // in its order, each once
  std::size_t ignored = 0;                      // options that are no PREF64 as RFC 8781 wants it, or one too many
};

// `packet` begins with the IPv6 header and may have padding behind its end. The error says which rule of RFC 4861
// §6.1.2 it breaks.
Result<RouterAdvertisement> parse_router_advertisement(std::span<const std::uint8_t> packet);

// An IPv6 packet from the unspecified address to all routers (RFC 4861 §4.1).
std::vector<std::uint8_t> router_solicitation();

}  // namespace clat
