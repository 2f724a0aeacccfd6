// A packet's virtio_net_hdr, checked against the packet.
#pragma once

#include "core/xlat/frame.hpp"
#include "core/xlat/protocol.hpp"

namespace clat::xlat {

// How the L4 checksum field reads.
enum class ChecksumState : std::uint8_t {
  whole,    // over the whole segment
  partial,  // holds the folded pseudo-header sum; whoever sends it adds the rest
  inner,    // whole, but a tunnelled packet's checksum further in is partial
};

struct Offload {
  ChecksumState checksum = ChecksumState::whole;
  // Behind the IP header, on the wire: all there is, unless read_offload() finds a super-packet, of which it is the
  // transport header and one segment.
  std::size_t wire_size = 0;
  std::size_t segments = 1;
  std::size_t segmented_header = 0;  // the transport header that each segment of a super-packet repeats
};

// `header` is the IP header's length, `size` the packet's, trailing bytes left out. `gso_tcp` is the family's own
// gso_type for TCP. False: the vnet header does not fit the packet.
bool read_offload(const Frame& frame, std::size_t header, std::size_t size, std::uint8_t protocol, std::uint8_t gso_tcp,
                  Offload& offload);

// Finishes the checksum where VnetHeader::kNeedsChecksum asks for it. read_offload() has checked the offsets, and the
// packet has no trailing bytes.
void finish_checksum(Frame& frame);

// Moves the vnet header's offsets from an IP header of `before` bytes to one of `after`.
void move_offload(VnetHeader& vnet, std::size_t before, std::size_t after, std::uint8_t gso_tcp_after);

}  // namespace clat::xlat
