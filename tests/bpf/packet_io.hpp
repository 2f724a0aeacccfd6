// Packets in and out of interfaces, offload facts included.
#pragma once

#include <optional>

#include "core/base/fd.hpp"
#include "core/xlat/vnet.hpp"
#include "tests/support/packet.hpp"

namespace clat::test {

struct Packet {
  xlat::VnetHeader vnet;
  Bytes bytes;
};

// A packet socket on one interface of the present namespace. It sees what tc lets through to protocol `ethertype`.
class Wire {
 public:
  // Bytes of link header on this interface: 14 for Ethernet, 0 for a tun.
  Wire(const std::string& interface, std::uint16_t ethertype, std::uint16_t link_header);

  // The packet begins with its link header; its offload facts count from the IP header. What the kernel says when it
  // does not take it, else 0.
  [[nodiscard]] int send(const Packet& packet) const;
  // The next packet that came in, from its IP header on; waits for one as long as `wait` milliseconds.
  [[nodiscard]] std::optional<Packet> receive(int wait = 0) const;

 private:
  Fd fd_;
  int ifindex_ = 0;
  std::uint16_t ethertype_ = 0;
  std::uint16_t link_header_ = 0;
};

// The same at the descriptor of a tun.
std::optional<Packet> read_tun(int fd, int wait = 0);
int write_tun(int fd, const Packet& packet);

Bytes ethernet(const std::string& destination, const std::string& source, std::uint16_t ethertype);
Bytes mac(const std::string& text);

}  // namespace clat::test
