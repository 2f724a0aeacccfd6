#include "core/base/fd.hpp"

#include <unistd.h>

namespace clat {

void Fd::reset(int fd) {
  const int old = std::exchange(fd_, fd);
  // After EINTR the descriptor is closed all the same (close(2)): never again.
  if (old >= 0) ::close(old);
}

}  // namespace clat
