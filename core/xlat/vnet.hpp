// The offload facts that travel in front of each packet on an IFF_VNET_HDR tun.
#pragma once

#include <cstdint>

namespace clat::xlat {

// struct virtio_net_hdr of <linux/virtio_net.h>, 10 bytes, host order as a tun gives it by default. Defined here to
// keep the translator free of Linux headers.
struct VnetHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;  // the L4 checksum field holds only the pseudo-header sum
  static constexpr std::uint8_t kDataValid = 2;
  static constexpr std::uint8_t kGsoNone = 0;
  static constexpr std::uint8_t kGsoTcp4 = 1;
  static constexpr std::uint8_t kGsoTcp6 = 4;
  static constexpr std::uint8_t kGsoUdp = 5;  // VIRTIO_NET_HDR_GSO_UDP_L4, for both families
  static constexpr std::uint8_t kGsoEcn = 0x80;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t header_length = 0;  // how much to keep linear, a hint; 0: unset
  std::uint16_t gso_size = 0;       // payload bytes per segment
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;  // of the field, from checksum_start

  bool operator==(const VnetHeader&) const = default;
  [[nodiscard]] bool is_tcp_super_packet() const {
    const int type = gso_type & ~kGsoEcn;
    return type == kGsoTcp4 || type == kGsoTcp6;
  }
  // An ordinary packet, with nothing to be done to it.
  [[nodiscard]] bool is_plain() const { return flags == 0 && gso_type == 0 && header_length == 0; }
};
static_assert(sizeof(VnetHeader) == 10);

}  // namespace clat::xlat
