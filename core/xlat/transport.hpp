// TCP, UDP and ICMP echo under a change of IP header: checksums follow, in place (RFC 7915 §4.5, §5.5).
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

// What lies behind the IP header, trailing bytes left out.
struct Transport {
  std::uint8_t protocol = 0;  // of the packet as it came
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  Offload offload = {};
  std::size_t inner_checksum_start = 0, inner_checksum_field = 0;  // from data, with ChecksumState::inner
};

// Whether its headers can be read, agree with the frame's vnet header and have a counterpart. Fills in what the vnet
// header says; changes no byte.
Verdict judge_transport(Direction direction, const Frame& frame, Transport& transport);

// The other family's number for a protocol: RFC 7915 §4.1 and §5.1 change only ICMP's.
constexpr std::uint8_t counterpart(std::uint8_t protocol) {
  if (protocol == kIcmp4) return kIcmp6;
  return protocol == kIcmp6 ? kIcmp4 : protocol;
}

// After judge_transport() said `translated`.
void rewrite_transport(Direction direction, const Transport& transport, const AddressChange& addresses);

}  // namespace clat::xlat
