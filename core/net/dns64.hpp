// Discovery of NAT64 prefixes by DNS (RFC 7050): what a DNS64 makes of a name that has IPv4 addresses alone.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"

namespace clat {

inline constexpr std::string_view kIpv4OnlyName = "ipv4only.arpa";

constexpr std::size_t kMostDns64Addresses = 16;  // of one answer that are looked at
constexpr std::size_t kMostDns64Prefixes = 8;    // that one answer gives

// The prefixes in front of 192.0.0.170 and 192.0.0.171 in these addresses of ipv4only.arpa, each once, in the order of
// the addresses. An address that gives none is passed over.
std::vector<Nat64Prefix> nat64_prefixes_of(std::span<const Ipv6Address> addresses);

}  // namespace clat
