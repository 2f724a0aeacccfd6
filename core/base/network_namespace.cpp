#include "core/base/network_namespace.hpp"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "core/base/fd.hpp"

namespace clat {

Result<NetworkNamespace> this_network_namespace() {
  constexpr int kCookieOption = 71;  // SO_NETNS_COOKIE of Linux 5.14, on most machines; older headers lack it
  constexpr const char* kSelf = "/proc/thread-self/ns/net";
  struct stat facts{};
  if (::stat(kSelf, &facts) != 0) return failure(std::string("stat ") + kSelf, errno);
  NetworkNamespace here{.device = facts.st_dev, .inode = facts.st_ino};
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return failure("open a socket", errno);
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(socket.get(), SOL_SOCKET, kCookieOption, &cookie, &size) == 0) {
    here.cookie = cookie;
  } else if (errno != ENOPROTOOPT) {
    return failure("ask for the network namespace's cookie", errno);
  }
  return here;
}

}  // namespace clat
