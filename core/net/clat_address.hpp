// Choice of the CLAT's own IPv6 address.
#pragma once

#include <cstdint>

#include "core/net/address.hpp"
#include "core/net/ipv6_prefix.hpp"
#include "core/net/prefix.hpp"

namespace clat {

// Bits of a subnet that the CLAT's address keeps: between these the interface id has room for an address of ours.
constexpr unsigned kShortestClatSubnet = 64;
constexpr unsigned kLongestClatSubnet = 125;

// Whether the interface id has a 16-bit word of its own, which can make the address checksum-neutral.
constexpr bool has_neutral_addresses(const Ipv6Prefix& subnet) { return subnet.length <= 112; }

// Whether there is more than one such address.
constexpr bool has_many_neutral_addresses(const Ipv6Prefix& subnet) { return subnet.length < 112; }

// How to fill the bits that are ours.
enum class Neutrality { wanted, given_up };

// An address in `subnet` (of length kShortestClatSubnet to kLongestClatSubnet) whose interface id is `random` made
// checksum-neutral (RFC 6052 §4.1) where `subnet` and `neutrality` allow it: the one's complement sum of `v4` equals
// that of the result plus the prefix, so translating changes no L4 checksum. Exact for prefixes that keep the words of
// the peer's address whole; for the others the sum still differs per peer. In a /112 only one address is neutral.
// Never the subnet-router anycast address.
Ipv6Address make_clat_ipv6(const Ipv6Prefix& subnet, const Ipv4Address& v4, const Nat64Prefix& prefix,
                           std::uint64_t random, Neutrality neutrality = Neutrality::wanted);

// sum(v6) + sum(prefix) - sum(v4) as one's complement, 0 when neutral.
std::uint16_t checksum_delta(const Ipv6Address& clat, const Ipv4Address& v4, const Nat64Prefix& prefix);

}  // namespace clat
