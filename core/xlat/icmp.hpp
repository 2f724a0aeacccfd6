// ICMP errors to the other family's (RFC 7915 §4.2, §5.2).
#pragma once

#include "core/xlat/mapping.hpp"
#include "core/xlat/mtus.hpp"
#include "core/xlat/transport.hpp"

namespace clat::xlat {

// Translates a whole ICMP error in place, the packet inside included. Afterwards `icmp` says where it is and how long,
// its checksum is over `addresses`, and only the IP header is missing. The vnet header must ask for nothing. Other
// verdicts than `translated` leave the bytes from the end of the ICMP header on undefined.
Verdict rewrite_error(Direction direction, const Sides& sides, const Mtus& mtus, const AddressChange& addresses,
                      Transport& icmp);

}  // namespace clat::xlat
