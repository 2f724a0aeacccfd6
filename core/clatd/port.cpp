#include "core/clatd/port.hpp"

#include <unistd.h>

#include <cerrno>

namespace clat::clatd {

using xlat::Verdict;

Inbound read_tun(int fd, PacketBuffer& buffer, std::size_t header) {
  const ssize_t got = ::read(fd, buffer.packet() - header, header + PacketBuffer::kRoom);
  if (got > 0) {
    const auto size = static_cast<std::size_t>(got);
    if (size <= header) return Inbound::lost(Verdict::truncated);
    return {.state = Inbound::State::packet, .frame = {buffer.packet(), size - header}};
  }
  const int code = got < 0 ? errno : 0;
  switch (code) {
    case EAGAIN:
    case EINTR: return {};
    // The kernel took a packet from the queue and found it to be of a GSO type that virtio_net_hdr has no number for.
    case EINVAL: return Inbound::lost(Verdict::bad_offload);
    // A tun returns these once its device was deleted; a stand-in for a tun returns end of file.
    case EBADFD:
    case EBADF:
    case ENODEV:
    case 0: return Inbound::ended(Stop::Cause::tun_gone, code);
    default: return Inbound::ended(Stop::Cause::tun_failed, code);
  }
}

}  // namespace clat::clatd
