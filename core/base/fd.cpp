#include "core/base/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace clat {

void Fd::reset(int fd) {
  const int old = std::exchange(fd_, fd);
  // After EINTR the descriptor is closed all the same (close(2)): never again.
  if (old >= 0) ::close(old);
}

Result<Fd> Fd::duplicate() const {
  // Above the standard streams, so that it can never be taken for one.
  const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return failure("duplicate descriptor " + std::to_string(fd_), errno);
  return Fd(copy);
}

}  // namespace clat
