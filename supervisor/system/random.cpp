#include "supervisor/system/random.hpp"

#include <sys/random.h>

#include <cerrno>

namespace clat::system {

Result<std::uint64_t> random_number() {
  std::uint64_t number = 0;
  for (;;) {
    // Up to 256 bytes come whole or not at all (getrandom(2)).
    if (::getrandom(&number, sizeof number, 0) == static_cast<ssize_t>(sizeof number)) return number;
    if (errno != EINTR) return failure("getrandom", errno);
  }
}

}  // namespace clat::system
