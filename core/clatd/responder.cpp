#include "core/clatd/responder.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace clat::clatd {

namespace {

// Not libc's recv() and send(): on some architectures these are socketcall(2), which no filter of system calls can look
// into.
ssize_t receive(int fd, void* to, std::size_t size) {
  // MSG_TRUNC gives the real length of a message that is too long.
  return syscall(SYS_recvfrom, fd, to, size, MSG_DONTWAIT | MSG_TRUNC, nullptr, nullptr);
}
ssize_t transmit(int fd, const void* from, std::size_t size) {
  return syscall(SYS_sendto, fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0);
}

}  // namespace

// An answer that finds no room is lost: the supervisor has not read the earlier ones.
std::optional<Stop> Responder::report(control::Kind kind, std::uint64_t cookie) {
  if (fd_ < 0) return std::nullopt;
  control::Report report;
  report.kind = kind;
  report.cookie = cookie;
  for (const auto& pump : pumps_) pump->counters().add_to(report);
  if (transmit(fd_, &report, sizeof report) >= 0 || errno == EAGAIN || errno == ENOBUFS) return std::nullopt;
  const bool gone = errno == EPIPE || errno == ECONNRESET;
  return Stop{gone ? Stop::Cause::supervisor_gone : Stop::Cause::control_failed, errno};
}

std::optional<Stop> Responder::obey(const control::Request& request) {
  switch (request.kind) {
    case control::Kind::request: return report(control::Kind::report, request.cookie);
    case control::Kind::mtus:
      if (!is_ipv6_mtu(request.mtu) || !is_ipv6_mtu(request.lowest_ipv6_mtu)) return Stop{Stop::Cause::bad_mtus};
      shared_.mtus.set(request.mtu, request.lowest_ipv6_mtu);
      return report(control::Kind::report, request.cookie);
    case control::Kind::ready:
    case control::Kind::report: break;
  }
  return Stop{Stop::Cause::bad_request};
}

std::optional<Stop> Responder::serve() {
  control::Request request;
  const ssize_t got = receive(fd_, &request, sizeof request);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (got == 0 || (got < 0 && errno == ECONNRESET)) return Stop{Stop::Cause::supervisor_gone};
  if (got < 0) return Stop{Stop::Cause::control_failed, errno};
  if (got != sizeof request || request.version != control::kVersion) return Stop{Stop::Cause::bad_request};
  return obey(request);
}

}  // namespace clat::clatd
