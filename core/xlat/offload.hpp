// What virtio_net_hdr says about a packet, checked against the packet.
#pragma once

#include "core/xlat/protocol.hpp"
#include "core/xlat/translator.hpp"

namespace clat::xlat {

// How the L4 checksum field reads.
enum class ChecksumState : std::uint8_t {
  whole,    // over the whole segment
  partial,  // holds the folded pseudo-header sum; whoever sends it adds the rest
  inner,    // whole, but a tunnelled packet's checksum further in is partial
};

struct Offload {
  ChecksumState checksum = ChecksumState::whole;
  // Of the packet on the wire: the frame's own size, or for a super-packet that of the headers and one segment.
  std::size_t wire_size = 0;
  std::size_t segments = 1;
};

// `header` is the IP header's length, `size` the packet's, trailing bytes left out. `gso_tcp` is the family's own
// gso_type for TCP. False: the vnet header does not fit the packet.
bool read_offload(const Frame& frame, std::size_t header, std::size_t size, std::uint8_t protocol, std::uint8_t gso_tcp,
                  Offload& offload);

// Moves the vnet header's offsets from an IP header of `before` bytes to one of `after`.
void move_offload(VnetHeader& vnet, std::size_t before, std::size_t after, std::uint8_t gso_tcp_after);

}  // namespace clat::xlat
