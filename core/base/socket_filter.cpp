#include "core/base/socket_filter.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace clat {

Result<> attach_filter(const Fd& socket, std::span<const sock_filter> program) {
  // The kernel copies it.
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = const_cast<sock_filter*>(program.data())};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) {
    return failure("SO_ATTACH_FILTER", errno);
  }
  return {};
}

}  // namespace clat
