// What all messages of neighbour discovery (RFC 4861) have in common: ICMPv6 right behind the IPv6 header, with a hop
// limit that nobody on another link can send, and options in units of 8 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/error.hpp"
#include "core/net/address.hpp"

namespace clat {

constexpr Ipv6Address kAllNodes{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr Ipv6Address kAllRouters{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

struct NdPacket {
  Ipv6Address source;
  Ipv6Address destination;
  std::span<const std::uint8_t> message;  // from its type on, without padding; the checksum is right
};

// `packet` begins with the IPv6 header and may have padding behind its end; `least` is the size of the message before
// its options. The error says which rule of RFC 4861 §6.1 or §7.1 it breaks.
Result<NdPacket> open_nd_packet(std::span<const std::uint8_t> packet, std::size_t least);

// An address among the first 24 bytes of a message, or in the header.
Ipv6Address nd_address(std::span<const std::uint8_t> bytes, std::size_t at);

// visit(option), from its type on, for each of them.
template <class Visit>
Result<> each_nd_option(std::span<const std::uint8_t> options, Visit visit) {
  while (!options.empty()) {
    const std::size_t size = options.size() < 2 ? 0 : std::size_t{options[1]} * 8;
    if (size == 0 || size > options.size()) return failure("the length of an option lies");
    visit(options.first(size));
    options = options.subspan(size);
  }
  return {};
}

// The checksum is put into `message`, which has a place for it.
std::vector<std::uint8_t> make_nd_packet(const Ipv6Address& source, const Ipv6Address& destination,
                                         std::span<const std::uint8_t> message);

}  // namespace clat
