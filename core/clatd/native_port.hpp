// One queue of a tun with vnet headers, for both directions and both families.
#pragma once

#include "core/clatd/port.hpp"

namespace clat::clatd {

class NativePort final : public Port {
 public:
  // The descriptor stays the caller's and is non-blocking.
  explicit NativePort(int tun_fd) : tun_fd_(tun_fd) {}

  [[nodiscard]] std::span<const int> inputs() const override { return {&tun_fd_, 1}; }
  Inbound read(std::size_t input) override;
  std::size_t write(const xlat::Frame& frame) override;
  [[nodiscard]] bool takes_udp_super_packets() const override { return takes_udp_super_packets_; }

 private:
  int tun_fd_;
  bool takes_udp_super_packets_ = true;
  PacketBuffer buffer_;
};

}  // namespace clat::clatd
