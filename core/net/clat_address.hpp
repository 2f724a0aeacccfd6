// Choice of the CLAT's own IPv6 address.
#pragma once

#include <cstdint>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"

namespace clat {

// An address in the /64 of `subnet` whose interface id is `random` made checksum-neutral (RFC 6052 §4.1): the one's
// complement sum of `v4` equals that of the result plus the prefix, so translating changes no L4 checksum.
// Exact for prefixes that keep the words of the peer's address whole; for the others the sum still differs per peer.
// Never the subnet-router anycast address.
Ipv6Address make_clat_ipv6(const Ipv6Address& subnet, const Ipv4Address& v4, const Nat64Prefix& prefix,
                           std::uint64_t random);

// sum(v6) + sum(prefix) - sum(v4) as one's complement, 0 when neutral.
std::uint16_t checksum_delta(const Ipv6Address& clat, const Ipv4Address& v4, const Nat64Prefix& prefix);

}  // namespace clat
