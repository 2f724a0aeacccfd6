// Neighbour Advertisements (RFC 4861 §4.4).
#pragma once

#include <cstdint>
#include <vector>

#include "core/net/address.hpp"

namespace clat {

// To all nodes, unasked, from `source`: `target` has this link-layer address from now on, whatever was known before
// (RFC 4861 §7.2.6). An IPv6 packet.
struct AddressClaim {
  Ipv6Address source;  // an address of the sender's link
  Ipv6Address target;
  MacAddress mac;
  bool operator==(const AddressClaim&) const = default;
};
std::vector<std::uint8_t> unsolicited_advertisement(const AddressClaim& claim);

}  // namespace clat
