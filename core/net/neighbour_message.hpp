// Messages of neighbours about an address (RFC 4861 §4.3 and §4.4): who has it, and who wants it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/error.hpp"
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

// By which a probe that comes back is known as one's own (RFC 7527).
using Nonce = std::array<std::uint8_t, 6>;

// From the unspecified address: does anybody have `target` (RFC 4862 §5.4.2)? An IPv6 packet.
struct AddressProbe {
  Ipv6Address target;
  Nonce nonce{};
  bool operator==(const AddressProbe&) const = default;
};
std::vector<std::uint8_t> duplicate_address_probe(const AddressProbe& probe);

// ff02::1:ffXX:XXXX, where those that have `address` listen, and the link-layer address of a group (RFC 2464 §7).
Ipv6Address solicited_node_group(const Ipv6Address& address);
MacAddress group_mac(const Ipv6Address& group);

struct NeighbourMessage {
  // advertisement: somebody has the address. probe: somebody wants it, and asks from the unspecified address.
  // question: somebody looks for it.
  enum class Kind : std::uint8_t { advertisement, probe, question };
  Kind kind = Kind::question;
  Ipv6Address target;
  std::optional<MacAddress> mac = {};  // of the target, where an advertisement names it
  std::optional<Nonce> nonce = {};     // of a probe
  bool operator==(const NeighbourMessage&) const = default;
};
// `packet` begins with the IPv6 header and may have padding behind its end. The error says which rule of RFC 4861
// §7.1 it breaks.
Result<NeighbourMessage> parse_neighbour_message(std::span<const std::uint8_t> packet);

}  // namespace clat
