#include "core/xlat/offload.hpp"

#include <algorithm>

#include "core/xlat/bytes.hpp"

namespace clat::xlat {

namespace {

bool read_checksum(const Frame& frame, std::size_t header, std::size_t size, std::uint8_t protocol, Offload& offload) {
  const VnetHeader& vnet = frame.vnet;
  const std::size_t start = vnet.checksum_start;
  if (start < header || start + vnet.checksum_offset + 2U > size) return false;
  if (start == header) {
    offload.checksum = ChecksumState::partial;
    return checksum_field(protocol) != 0 && vnet.checksum_offset == checksum_field(protocol);
  }
  // A tunnel's inner packet. Words of the outer sum must not straddle its beginning, and move_offload() must find room.
  offload.checksum = ChecksumState::inner;
  return (start - header) % 2 == 0 && start <= 0xff00;
}

bool read_segments(const Frame& frame, std::size_t header, std::size_t size, std::uint8_t protocol,
                   std::uint8_t gso_tcp, Offload& offload) {
  const VnetHeader& vnet = frame.vnet;
  const auto type = static_cast<std::uint8_t>(vnet.gso_type & ~VnetHeader::kGsoEcn);
  const std::uint8_t* l4 = frame.data + header;
  std::size_t l4_header = 8;
  if (type == gso_tcp && protocol == kTcp) {
    if (size < header + 20) return false;
    l4_header = static_cast<std::size_t>(l4[12] >> 4) * 4;
    if (l4_header < 20) return false;
  } else {
    // Linux takes UDP super-packets with an unfinished checksum alone, and the length field of others cannot be trusted
    // for a sum of our own.
    const bool is_udp = type == VnetHeader::kGsoUdp && protocol == kUdp;
    if (!is_udp || offload.checksum != ChecksumState::partial) return false;
  }
  if (vnet.gso_size == 0 || size < header + l4_header) return false;
  const std::size_t payload = size - header - l4_header;
  offload.segmented_header = l4_header;
  offload.wire_size = l4_header + std::min<std::size_t>(payload, vnet.gso_size);
  offload.segments = std::max<std::size_t>(1, (payload + vnet.gso_size - 1) / vnet.gso_size);
  return true;
}

}  // namespace

bool read_offload(const Frame& frame, std::size_t header, std::size_t size, std::uint8_t protocol, std::uint8_t gso_tcp,
                  Offload& offload) {
  const VnetHeader& vnet = frame.vnet;
  if ((vnet.flags & ~(VnetHeader::kNeedsChecksum | VnetHeader::kDataValid)) != 0) return false;
  if ((vnet.flags & VnetHeader::kNeedsChecksum) != 0 && !read_checksum(frame, header, size, protocol, offload)) {
    return false;
  }
  return vnet.gso_type == VnetHeader::kGsoNone || read_segments(frame, header, size, protocol, gso_tcp, offload);
}

void finish_checksum(Frame& frame) {
  VnetHeader& vnet = frame.vnet;
  if ((vnet.flags & VnetHeader::kNeedsChecksum) == 0) return;
  std::uint8_t* const start = frame.data + vnet.checksum_start;
  const auto checksum = complement(fold(sum_bytes(start, frame.size - vnet.checksum_start)));
  // 0 would mean none to UDP; to others both forms are the same.
  store<std::uint16_t>(start + vnet.checksum_offset, checksum == 0 ? 0xffff : checksum);
  vnet = {};
}

void move_offload(VnetHeader& vnet, std::size_t before, std::size_t after, std::uint8_t gso_tcp_after) {
  // Offsets lie behind the IP header, so they cannot fall below 0; 65535 holds what 64 KiB plus 20 would pass.
  const auto move = [&](std::uint16_t offset) {
    const std::size_t from_l4 = offset > before ? offset - before : 0;
    return static_cast<std::uint16_t>(std::min<std::size_t>(from_l4 + after, 0xffff));
  };
  if ((vnet.flags & VnetHeader::kNeedsChecksum) != 0) vnet.checksum_start = move(vnet.checksum_start);
  if (vnet.header_length != 0) vnet.header_length = move(vnet.header_length);
  if (vnet.is_tcp_super_packet()) {
    vnet.gso_type = static_cast<std::uint8_t>(gso_tcp_after | (vnet.gso_type & VnetHeader::kGsoEcn));
  }
}

}  // namespace clat::xlat
