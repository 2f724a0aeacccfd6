// Transport protocols under a change of IP header: checksums follow, in place (RFC 7915 §4.5, §5.5).
#pragma once

#include "core/xlat/bytes.hpp"
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

// Of a datagram: all of it, or the fragment that holds its transport header, or another.
enum class Part : std::uint8_t { whole, first, later };

// What lies behind the IP header, trailing bytes left out.
struct Transport {
  Part part = Part::whole;
  std::uint8_t protocol = 0;  // of the packet as it came
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  Offload offload = {};
  std::size_t inner_checksum_start = 0, inner_checksum_field = 0;  // from data, with ChecksumState::inner
};

// Whether its headers can be read, agree with the frame's vnet header and have a counterpart. Fills in what the vnet
// header says; changes no byte.
Verdict judge_transport(Direction direction, const Frame& frame, Transport& transport);

// After judge_transport() said `translated`.
void rewrite_transport(Direction direction, const Transport& transport, const AddressChange& addresses);

}  // namespace clat::xlat
