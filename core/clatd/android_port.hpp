// Android's descriptors: IPv4 by a tun without vnet headers, IPv6 in by a packet socket and out by a raw one.
#pragma once

#include <array>

#include "core/clatd/port.hpp"

namespace clat::clatd {

class AndroidPort final : public Port {
 public:
  // All stay the caller's. tun_fd: non-blocking, 4 bytes of struct tun_pi in front of each packet. packet_fd:
  // SOCK_RAW with PACKET_AUXDATA and PACKET_VNET_HDR. raw_fd: IPPROTO_RAW.
  AndroidPort(int tun_fd, int packet_fd, int raw_fd) : inputs_{tun_fd, packet_fd}, raw_fd_(raw_fd) {}

  [[nodiscard]] std::span<const int> inputs() const override { return inputs_; }
  Inbound read(std::size_t input) override;
  std::size_t write(const xlat::Frame& frame) override;
  [[nodiscard]] bool takes_udp_super_packets() const override { return false; }

 private:
  Inbound read_ipv4();
  Inbound read_ipv6();
  [[nodiscard]] bool write_ipv4(const xlat::Frame& packet) const;
  [[nodiscard]] bool write_ipv6(const xlat::Frame& packet) const;

  std::array<int, 2> inputs_;
  int raw_fd_;
  PacketBuffer buffer_;
};

}  // namespace clat::clatd
