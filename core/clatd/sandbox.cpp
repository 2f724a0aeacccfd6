#include "core/clatd/sandbox.hpp"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstddef>

namespace clat::clatd {

namespace {

using Fault = std::optional<SandboxFault>;

Fault check(int result, const char* what) {
  if (result >= 0) return std::nullopt;
  return SandboxFault{what, errno};
}

// Until the kernel knows no further capability. Only the privileged may; who has none loses nothing.
Fault empty_bounding_set() {
  for (unsigned capability = 0; capability < 64; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL || errno == EPERM) return std::nullopt;
    return SandboxFault{"PR_CAPBSET_DROP", errno};
  }
  return std::nullopt;
}

Fault change_ids(const Ids& ids) {
  if (getuid() == ids.user && geteuid() == ids.user && getgid() == ids.group && getegid() == ids.group &&
      ids.user != 0) {
    return std::nullopt;
  }
  if (auto fault = check(setgroups(0, nullptr), "setgroups")) return fault;
  if (auto fault = check(setresgid(ids.group, ids.group, ids.group), "setresgid")) return fault;
  return check(setresuid(ids.user, ids.user, ids.user), "setresuid");
}

Fault drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  return check(static_cast<int>(syscall(SYS_capset, &header, none.data())), "capset");
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;  // the sanitizers' runtime opens pipes and maps memory of its own
#else
constexpr bool kSanitized = false;
#endif

Fault set_limit(__rlimit_resource resource, rlim_t value, const char* what) {
  const rlimit limit{value, value};
  return check(setrlimit(resource, &limit), what);
}

Fault set_limits(const Arguments& arguments) {
  // No new descriptors; poll() refuses more entries than this limit.
  const int highest = std::max(arguments.tun_fd, arguments.control_fd.value_or(0));
  if (!kSanitized) {
    if (auto fault = set_limit(RLIMIT_NOFILE, static_cast<rlim_t>(highest) + 1, "RLIMIT_NOFILE")) return fault;
  }
  if (auto fault = set_limit(RLIMIT_NPROC, 0, "RLIMIT_NPROC")) return fault;
  return set_limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
}

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__arm__) && defined(__ARMEB__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_ARMEB;
#elif defined(__arm__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_ARM;
#elif defined(__i386__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_I386;
#elif defined(__mips__) && defined(__MIPSEL__) && !defined(__mips64)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_MIPSEL;
#elif defined(__mips__) && !defined(__mips64)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_MIPS;
#elif defined(__riscv) && __riscv_xlen == 64
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#else
#error "seccomp: name this architecture's AUDIT_ARCH"
#endif

constexpr std::uint32_t kLoad = BPF_LD | BPF_W | BPF_ABS, kIfEqual = BPF_JMP | BPF_JEQ | BPF_K,
                        kReturn = BPF_RET | BPF_K;
constexpr std::uint32_t offset_of_argument(std::size_t n) {
  const std::size_t low_half = std::endian::native == std::endian::little ? 0 : 4;
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8 * n + low_half);
}

// A classic BPF program over struct seccomp_data.
class Filter {
 public:
  Filter() {
    add(kLoad, offsetof(seccomp_data, arch));
    add(kIfEqual, kArchitecture, 1, 0);
    add(kReturn, SECCOMP_RET_KILL_PROCESS);
    add(kLoad, offsetof(seccomp_data, nr));
  }
  void allow(long number) {
    add(kIfEqual, static_cast<std::uint32_t>(number), 0, 1);
    add(kReturn, SECCOMP_RET_ALLOW);
  }
  // Only with one of these as first argument.
  void allow(long number, int fd, int other_fd) {
    add(kIfEqual, static_cast<std::uint32_t>(number), 0, 5);
    add(kLoad, offset_of_argument(0));
    add(kIfEqual, static_cast<std::uint32_t>(fd), 1, 0);
    add(kIfEqual, static_cast<std::uint32_t>(other_fd), 0, 1);
    add(kReturn, SECCOMP_RET_ALLOW);
    add(kReturn, SECCOMP_RET_KILL_PROCESS);
  }
  Fault install() {
    add(kReturn, SECCOMP_RET_KILL_PROCESS);
    const sock_fprog program{size_, code_.data()};
    return check(static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)), "seccomp");
  }

 private:
  void add(std::uint32_t code, std::uint32_t k, std::uint8_t if_true = 0, std::uint8_t if_false = 0) {
    code_.at(size_++) = {static_cast<std::uint16_t>(code), if_true, if_false, k};
  }
  mutable std::array<sock_filter, 64> code_{};
  std::uint16_t size_ = 0;
};

// What each libc makes of the few calls that follow. On 32 bits, with a 64-bit time_t or without, poll() counts
// milliseconds and stays poll(); where there is none it is ppoll(). Nothing asks for the time, and the one signal
// handler never returns, so neither clock_gettime() nor sigreturn() is among them.
Fault filter_system_calls(const Arguments& arguments) {
  const int tun = arguments.tun_fd, control = arguments.control_fd.value_or(tun);
  Filter filter;
  filter.allow(SYS_read, tun, tun);
  filter.allow(SYS_write, tun, STDERR_FILENO);
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
  filter.allow(SYS_recvfrom, control, control);
  filter.allow(SYS_sendto, control, control);
  filter.allow(SYS_exit_group);
  return filter.install();
}

}  // namespace

std::optional<SandboxFault> enter_sandbox(const Arguments& arguments, pid_t parent) {
  if (auto fault = empty_bounding_set()) return fault;
  if (arguments.ids) {
    if (auto fault = change_ids(*arguments.ids)) return fault;
  }
  if (auto fault = drop_capabilities()) return fault;
  if (auto fault = check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")) return fault;
  // A change of ids clears it, so it comes behind; a parent that died before is told by another getppid().
  if (auto fault = check(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")) return fault;
  if (getppid() != parent) return SandboxFault{"parent died", ECHILD};
  if (auto fault = set_limits(arguments)) return fault;
  return kSanitized ? std::nullopt : filter_system_calls(arguments);
}

}  // namespace clat::clatd
