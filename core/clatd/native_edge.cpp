#include "core/clatd/native_edge.hpp"

#include <unistd.h>

#include <cstring>

namespace clat::clatd {

using xlat::VnetHeader;

Inbound NativeEdge::read(std::size_t) {
  auto inbound = read_tun(tun_fd_, buffer_, sizeof(VnetHeader));
  if (inbound.state != Inbound::State::packet) return inbound;
  std::memcpy(&inbound.frame.vnet, buffer_.packet() - sizeof(VnetHeader), sizeof(VnetHeader));
  return inbound;
}

// A tun that has no room, or is down, loses the packet.
std::size_t NativeEdge::write(const xlat::Frame& frame) {
  std::uint8_t* const at = frame.data - sizeof(VnetHeader);
  std::memcpy(at, &frame.vnet, sizeof(VnetHeader));
  return ::write(tun_fd_, at, frame.size + sizeof(VnetHeader)) < 0 ? 1 : 0;
}

}  // namespace clat::clatd
