#include "core/clatd/native_port.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/xlat/segment.hpp"

namespace clat::clatd {

using xlat::VnetHeader;

Inbound NativePort::read(std::size_t) {
  auto inbound = read_tun(tun_fd_, buffer_, sizeof(VnetHeader));
  if (inbound.state != Inbound::State::packet) return inbound;
  std::memcpy(&inbound.frame.vnet, buffer_.packet() - sizeof(VnetHeader), sizeof(VnetHeader));
  return inbound;
}

// A tun that has no room, or is down, loses the packet. Linux before 6.2 knows no UDP super-packets.
std::size_t NativePort::write(const xlat::Frame& frame) {
  std::uint8_t* const at = frame.data - sizeof(VnetHeader);
  std::memcpy(at, &frame.vnet, sizeof(VnetHeader));
  if (::write(tun_fd_, at, frame.size + sizeof(VnetHeader)) >= 0) return 0;
  if (frame.vnet.gso_type == VnetHeader::kGsoNone) return 1;
  const bool is_unknown = frame.vnet.gso_type == VnetHeader::kGsoUdp && errno == EINVAL;
  xlat::Segments segments(frame);
  if (!is_unknown || !segments.fit()) return std::max<std::size_t>(segments.count(), 1);
  takes_udp_super_packets_ = false;
  std::size_t lost = 0;
  for (xlat::Frame segment; segments.next(segment);) lost += write(segment);
  return lost;
}

}  // namespace clat::clatd
