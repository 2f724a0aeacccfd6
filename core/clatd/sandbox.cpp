#include "core/clatd/sandbox.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <limits>

#include "core/clatd/system_call_filter.hpp"

namespace clat::clatd {

namespace {

Result<> check(int result, const char* what) {
  if (result >= 0) return {};
  return failure(what, errno);
}

// Drops capabilities until the kernel knows no further one. That takes a privilege; a process without it has nothing to
// lose here.
Result<> empty_bounding_set() {
  for (unsigned capability = 0; capability < 64; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL || errno == EPERM) return {};
    return failure("PR_CAPBSET_DROP", errno);
  }
  return {};
}

Result<> change_ids(const Ids& ids) {
  const bool there =
      getuid() == ids.user && geteuid() == ids.user && getgid() == ids.group && getegid() == ids.group && ids.user != 0;
  if (setgroups(0, nullptr) != 0) {
    // The process has these ids already, and no right to change them.
    if (errno == EPERM && there) return {};
    return failure("setgroups", errno);
  }
  if (auto done = check(setresgid(ids.group, ids.group, ids.group), "setresgid"); !done) return done;
  return check(setresuid(ids.user, ids.user, ids.user), "setresuid");
}

Result<> drop_capabilities() {
  if (auto done = check(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "PR_CAP_AMBIENT"); !done) return done;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  return check(static_cast<int>(syscall(SYS_capset, &header, none.data())), "capset");
}

// Besides the standard streams, in ascending order.
std::vector<int> own_descriptors(const Arguments& arguments) {
  std::vector<int> own = arguments.tun_fds;
  for (const auto& fd : {arguments.control_fd, arguments.packet_fd, arguments.raw_fd}) {
    if (fd) own.push_back(*fd);
  }
  std::ranges::sort(own);
  return own;
}

// Closes every descriptor that the program which started us left open.
Result<> close_others(const Arguments& arguments) {
  auto first = static_cast<unsigned>(STDERR_FILENO + 1);
  for (const int own : own_descriptors(arguments)) {
    const auto fd = static_cast<unsigned>(own);
    if (first < fd && syscall(SYS_close_range, first, fd - 1, 0) != 0) return failure("close_range", errno);
    first = fd + 1;
  }
  return check(static_cast<int>(syscall(SYS_close_range, first, std::numeric_limits<unsigned>::max(), 0)),
               "close_range");
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;  // the sanitizers' runtime opens pipes and maps memory of its own
#else
constexpr bool kSanitized = false;
#endif

Result<> set_limit(__rlimit_resource resource, rlim_t value, const char* what) {
  const rlimit limit{value, value};
  return check(setrlimit(resource, &limit), what);
}

Result<> set_limits(const Arguments& arguments) {
  // No new descriptors; poll() refuses more entries than this limit.
  const auto highest = static_cast<rlim_t>(own_descriptors(arguments).back());
  if (!kSanitized) {
    if (auto set = set_limit(RLIMIT_NOFILE, highest + 1, "RLIMIT_NOFILE"); !set) return set;
  }
  if (auto set = set_limit(RLIMIT_NPROC, 0, "RLIMIT_NPROC"); !set) return set;
  return set_limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
}

// What each libc makes of the few calls that follow. On 32 bits, with a 64-bit time_t or without, poll() counts
// milliseconds and stays poll(); where there is none it is ppoll(). Without a vDSO the clock is a system call. The one
// signal handler never returns, so sigreturn() is not among them.
Result<> filter_system_calls(const Arguments& arguments) {
  SystemCallFilter filter;
  filter.allow(SYS_read, arguments.tun_fds);
  std::vector<int> written = arguments.tun_fds;
  written.push_back(STDERR_FILENO);
  filter.allow(SYS_write, written);
#ifdef SYS_poll
  filter.allow(SYS_poll);
#endif
#ifdef SYS_ppoll
  filter.allow(SYS_ppoll);
#endif
#ifdef SYS_ppoll_time64
  filter.allow(SYS_ppoll_time64);
#endif
  filter.allow(SYS_restart_syscall);  // poll(), after SIGSTOP and SIGCONT
  std::vector<int> sent;
  if (arguments.packet_fd) filter.allow(SYS_recvmsg, std::array{*arguments.packet_fd});
  if (arguments.raw_fd) sent.push_back(*arguments.raw_fd);
  if (arguments.control_fd) {
    filter.allow(SYS_recvfrom, std::array{*arguments.control_fd});
    sent.push_back(*arguments.control_fd);
  }
  if (!sent.empty()) filter.allow(SYS_sendto, sent);
#ifdef SYS_clock_gettime
  filter.allow(SYS_clock_gettime);
#endif
#ifdef SYS_clock_gettime64
  filter.allow(SYS_clock_gettime64);
#endif
  filter.allow(SYS_exit_group);
  return filter.install();
}

}  // namespace

Result<> drop_privileges(const Arguments& arguments, pid_t parent) {
  if (auto done = empty_bounding_set(); !done) return done;
  if (arguments.ids) {
    if (auto done = change_ids(*arguments.ids); !done) return done;
  }
  if (auto done = drop_capabilities(); !done) return done;
  if (auto done = check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS"); !done) return done;
  // A change of ids clears it, so it comes behind; a parent that died before is told by another getppid().
  if (auto done = check(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG"); !done) return done;
  if (getppid() != parent) return failure("parent died", ECHILD);
  return close_others(arguments);
}

Result<> shut_in(const Arguments& arguments) {
  if (auto done = set_limits(arguments); !done) return done;
  if (kSanitized) return {};
  return filter_system_calls(arguments);
}

}  // namespace clat::clatd
