// What a router advertisement (RFC 4861 §4.2) says that a CLAT wants to know.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
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

// Of the RDNSS option (RFC 8106 §5.1). A lifetime of 0 withdraws it; all ones never end.
struct AdvertisedNameServer {
  Ipv6Address address;  // that can be asked over the uplink, link-local ones included
  std::chrono::seconds lifetime{};
  bool operator==(const AdvertisedNameServer&) const = default;
};

// Of one advertisement, more than anybody needs.
constexpr std::size_t kMostAdvertisedPrefixes = 8;
constexpr std::size_t kMostAdvertisedNameServers = 8;

struct RouterAdvertisement {
  Ipv6Address router;                                   // link-local
  std::vector<AdvertisedPrefix> prefixes = {};          // in its order, each once
  std::vector<AdvertisedNameServer> name_servers = {};  // the same
  std::optional<std::uint32_t> mtu = {};                // of the link, bytes, at least 1280 (RFC 4861 §4.6.4)
  std::size_t ignored = 0;  // PREF64 and RDNSS options that are not as the standards want them, and what is too much
};

// `packet` begins with the IPv6 header and may have padding behind its end. The error says which rule of RFC 4861
// §6.1.2 it breaks.
Result<RouterAdvertisement> parse_router_advertisement(std::span<const std::uint8_t> packet);

// An IPv6 packet from the unspecified address to all routers (RFC 4861 §4.1).
std::vector<std::uint8_t> router_solicitation();

}  // namespace clat
