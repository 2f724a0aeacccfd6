// Transport protocols under a change of IP header: checksums follow, in place (RFC 7915 §4.5, §5.5).
#pragma once

#include "core/xlat/bytes.hpp"
#include "core/xlat/ip_header.hpp"
#include "core/xlat/offload.hpp"
#include "core/xlat/verdict.hpp"

namespace clat::xlat {

// The change of a packet's pseudo-header. The parts besides the addresses are equal in both families.
struct AddressChange {
  Sum before = 0;  // sum of both addresses
  Sum after = 0;
  [[nodiscard]] std::uint16_t delta() const { return fold(after + minus(before)); }
};

enum class Direction : std::uint8_t { to_ipv6, to_ipv4 };

// The part of a packet behind its IP header, without trailing bytes.
struct Transport {
  Fragment fragment = {};
  std::uint8_t protocol = 0;  // of the packet as it came
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  std::size_t message_size = 0;  // of ICMP in fragments, all of it; 0: not known
  bool is_error = false;         // an ICMP error that rewrite_error() is for, said by judge_transport()
  Offload offload = {};
  std::size_t inner_checksum_start = 0, inner_checksum_field = 0;  // from data, with ChecksumState::inner
};

inline Transport transport_of(std::uint8_t* ip, const Layout& layout, std::size_t message_size = 0) {
  const std::size_t size = layout.size - layout.header;
  return {.fragment = layout.fragment,
          .protocol = layout.protocol,
          .data = ip + layout.header,
          .size = size,
          .message_size = message_size,
          .offload = {.wire_size = size}};
}

// RFC 4443 §2.3; `addresses` is the sum of both.
inline Sum icmp6_pseudo_header(Sum addresses, std::size_t size) {
  return addresses + big_endian(static_cast<std::uint32_t>(size)) + big_endian<std::uint16_t>(kIcmp6);
}

constexpr bool is_icmp(std::uint8_t protocol) { return protocol == kIcmp4 || protocol == kIcmp6; }
// Of the family that is translated in this direction.
bool is_echo(Direction direction, std::uint8_t icmp_type);
bool is_icmp_error(Direction direction, const Transport& transport);
// Whether a protocol means the same in the other family, or has a number of its own there.
bool has_counterpart(Direction direction, std::uint8_t protocol);

// Whether its headers can be read, agree with the frame's vnet header and have a counterpart. `icmp_fragment`: it needs
// the message's size, or tells it. Fills in transport.offload from the vnet header, and changes no byte of the packet.
Verdict judge_transport(Direction direction, const Frame& frame, Transport& transport);

// Only after judge_transport() returned `translated`, and not for an ICMP error: that takes rewrite_error().
void rewrite_transport(Direction direction, const Transport& transport, const AddressChange& addresses);
// For the packet quoted in an ICMP error: transport.size is that of the original, and `present` bytes of it are there.
void rewrite_quoted_transport(Direction direction, const Transport& transport, std::size_t present,
                              const AddressChange& addresses);

}  // namespace clat::xlat
