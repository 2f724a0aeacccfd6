#include "supervisor/system/preflight.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/fd.hpp"

namespace clat::system {

namespace {

Result<> has_net_admin() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return failure("capget", errno);
  if ((data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN)) == 0) {
    return failure("CAP_NET_ADMIN is missing: run as root, or grant the capability", EPERM);
  }
  return {};
}

Result<> has_tun() {
  const Fd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (tun) return {};
  const bool missing = errno == ENOENT || errno == ENODEV || errno == ENXIO;
  return failure(missing ? "/dev/net/tun is missing: modprobe tun, or hand it to the container (--device /dev/net/tun)"
                         : "/dev/net/tun cannot be opened",
                 errno);
}

}  // namespace

std::vector<Error> preflight() {
  std::vector<Error> lacking;
  for (auto check : {has_net_admin, has_tun}) {
    if (auto passed = check(); !passed) lacking.push_back(std::move(passed.error()));
  }
  return lacking;
}

// Where it cannot be, the first uplink that finds none left says so.
void allow_all_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace clat::system
