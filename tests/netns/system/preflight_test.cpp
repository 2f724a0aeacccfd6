#include "supervisor/system/preflight.hpp"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace clat::system {
namespace {

// The exit status of a process that calls `body`.
int status_of(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Preflight, RootLacksNothing) { EXPECT_EQ(preflight(), std::vector<Error>{}); }

TEST(Preflight, AllDescriptorsThatMayBeAreAllowed) {
  EXPECT_EQ(status_of([] {
              rlimit limit{.rlim_cur = 64, .rlim_max = 128};
              if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
              allow_all_descriptors();
              return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 128 ? 0 : 2;
            }),
            0);
}

TEST(Preflight, SaysThatTheCapabilityIsMissing) {
  EXPECT_EQ(status_of([] {
              __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
              __user_cap_data_struct none[2]{};
              if (::syscall(SYS_capset, &header, none) != 0) return 1;
              const auto lacking = preflight();
              if (lacking.empty()) return 2;
              return lacking[0] == Error{"CAP_NET_ADMIN is missing: run as root, or grant the capability", EPERM} ? 0
                                                                                                                  : 3;
            }),
            0);
}

TEST(Preflight, SaysThatTheDeviceIsMissing) {
  EXPECT_EQ(
      status_of([] {
        if (::chroot("/proc/self/fdinfo") != 0) return 1;  // a directory without dev/
        const auto lacking = preflight();
        if (lacking.size() != 1) return 2;
        return lacking[0] ==
                       Error{
                           "/dev/net/tun is missing: modprobe tun, or hand it to the container (--device /dev/net/tun)",
                           ENOENT}
                   ? 0
                   : 3;
      }),
      0);
}

}  // namespace
}  // namespace clat::system
