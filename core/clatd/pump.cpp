#include "core/clatd/pump.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace clat::clatd {

namespace {

using xlat::VnetHeader;

// Packets between two looks at the control fd.
constexpr int kBatch = 64;
// More than any queue of a tun; beyond it the packets are fresh.
constexpr std::uint64_t kMostDrained = 16384;
// Headers and the largest IPv6 payload, and something behind that read() would cut off.
constexpr std::size_t kMostPacket = 40 + 65535 + 21;

// The vnet header goes where the packet behind it is aligned to 16 bytes.
constexpr std::size_t kVnetAt = xlat::kHeadroom + 16 - sizeof(VnetHeader);
constexpr std::size_t kPacketAt = kVnetAt + sizeof(VnetHeader);
alignas(64) std::array<std::uint8_t, kPacketAt + kMostPacket> buffer;

// What TUN says when its device has been deleted; a stand-in says end of file.
bool means_gone(int code) { return code == EBADFD || code == EBADF || code == ENODEV; }

// Not libc's recv() and send(): on some architectures these are socketcall(2), which no filter of system calls can look
// into.
ssize_t receive(int fd, void* to, std::size_t size, int flags) {
  return syscall(SYS_recvfrom, fd, to, size, flags, nullptr, nullptr);
}
ssize_t transmit(int fd, const void* from, std::size_t size, int flags) {
  return syscall(SYS_sendto, fd, from, size, flags, nullptr, 0);
}

}  // namespace

// One write per packet; a tun that has no room, or is down, loses it.
void Pump::send(const xlat::Frame& frame) {
  std::uint8_t* const at = frame.data - sizeof(VnetHeader);
  std::memcpy(at, &frame.vnet, sizeof(VnetHeader));
  if (write(tun_fd_, at, frame.size + sizeof(VnetHeader)) < 0) ++counters_.write_errors;
}

// `size` counts the vnet header.
Pump::Step Pump::read_packet(std::size_t& size) {
  const ssize_t got = read(tun_fd_, buffer.data() + kVnetAt, buffer.size() - kVnetAt);
  if (got > 0) {
    size = static_cast<std::size_t>(got);
    return Step::more;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Step::idle;
  const int code = got < 0 ? errno : 0;
  // The kernel took a packet from the queue and found it to be of a GSO type that virtio_net_hdr has no number for.
  if (code == EINVAL) return Step::lost;
  stop_ = {got == 0 || means_gone(code) ? Stop::Cause::tun_gone : Stop::Cause::tun_failed, code};
  return Step::stop;
}

void Pump::translate_packet(std::size_t size) {
  auto verdict = xlat::Verdict::truncated;
  if (size > sizeof(VnetHeader)) {
    xlat::Frame frame{buffer.data() + kPacketAt, size - sizeof(VnetHeader)};
    std::memcpy(&frame.vnet, buffer.data() + kVnetAt, sizeof(VnetHeader));
    const bool from_ipv4 = frame.data[0] >> 4 == 4;
    verdict = translator_.translate(frame, *this);
    if (verdict == xlat::Verdict::translated) {
      auto& flow = from_ipv4 ? counters_.to_ipv6 : counters_.to_ipv4;
      ++flow.packets;
      flow.bytes += frame.size;
    }
  }
  ++counters_.verdicts[static_cast<std::size_t>(verdict)];
}

// Stale packets are not replayed: who sent them has long sent them again.
bool Pump::drain() {
  std::size_t size = 0;
  for (; counters_.drained < kMostDrained; ++counters_.drained) {
    switch (read_packet(size)) {
      case Step::more:
      case Step::lost: break;
      case Step::idle: return true;
      case Step::stop: return false;
    }
  }
  return true;
}

// A supervisor that does not read its answers goes without.
bool Pump::report(control::Kind kind, std::uint64_t cookie) {
  if (control_fd_ < 0) return true;
  counters_.kind = kind;
  counters_.cookie = cookie;
  if (transmit(control_fd_, &counters_, sizeof counters_, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
  if (errno == EAGAIN || errno == ENOBUFS) return true;
  const bool gone = errno == EPIPE || errno == ECONNRESET;
  stop_ = {gone ? Stop::Cause::supervisor_gone : Stop::Cause::control_failed, errno};
  return false;
}

bool Pump::serve_control() {
  control::Request request;
  // MSG_TRUNC gives the real length of a message that is too long.
  const ssize_t got = receive(control_fd_, &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got == 0 || (got < 0 && errno == ECONNRESET)) {
    stop_ = {Stop::Cause::supervisor_gone};
    return false;
  }
  if (got < 0) {
    stop_ = {Stop::Cause::control_failed, errno};
    return false;
  }
  if (got != sizeof request || request.version != control::kVersion || request.kind != control::Kind::request) {
    stop_ = {Stop::Cause::bad_request};
    return false;
  }
  return report(control::Kind::report, request.cookie);
}

bool Pump::serve_tun(bool broken) {
  std::size_t size = 0;
  for (int n = 0; n < kBatch; ++n) {
    switch (read_packet(size)) {
      case Step::more: translate_packet(size); break;
      case Step::lost: ++counters_.verdicts[static_cast<std::size_t>(xlat::Verdict::bad_offload)]; break;
      case Step::idle:
        if (broken) stop_ = {Stop::Cause::tun_gone};
        return !broken;
      case Step::stop: return false;
    }
  }
  return true;
}

Stop Pump::run() {
  if (!drain() || !report(control::Kind::ready, 0)) return stop_;
  std::array<pollfd, 2> fds{pollfd{tun_fd_, POLLIN, 0}, pollfd{control_fd_, POLLIN, 0}};
  for (;;) {
    if (poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return {Stop::Cause::poll_failed, errno};
    }
    // A negative fd has no events.
    if (fds[1].revents != 0 && !serve_control()) return stop_;
    if (fds[0].revents != 0 && !serve_tun((fds[0].revents & (POLLERR | POLLNVAL)) != 0)) return stop_;
  }
}

}  // namespace clat::clatd
