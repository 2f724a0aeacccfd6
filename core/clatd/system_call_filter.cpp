#include "core/clatd/system_call_filter.hpp"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

namespace clat::clatd {

namespace {

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
// Descriptors are ints: the lower half of an argument is all the kernel looks at.
constexpr std::uint32_t kFirstArgument =
    offsetof(seccomp_data, args) + (std::endian::native == std::endian::little ? 0 : 4);

}  // namespace

SystemCallFilter::SystemCallFilter() {
  add(kLoad, offsetof(seccomp_data, arch));
  add(kIfEqual, kArchitecture, 1, 0);
  add(kReturn, SECCOMP_RET_KILL_PROCESS);
  add(kLoad, offsetof(seccomp_data, nr));
}

void SystemCallFilter::allow(long number) {
  add(kIfEqual, static_cast<std::uint32_t>(number), 0, 1);
  add(kReturn, SECCOMP_RET_ALLOW);
}

void SystemCallFilter::allow(long number, std::span<const int> fds) {
  const auto count = static_cast<std::uint8_t>(fds.size());
  add(kIfEqual, static_cast<std::uint32_t>(number), 0, static_cast<std::uint8_t>(count + 3));
  add(kLoad, kFirstArgument);
  for (std::uint8_t i = 0; i < count; ++i) {
    add(kIfEqual, static_cast<std::uint32_t>(fds[i]), static_cast<std::uint8_t>(count - i), 0);
  }
  add(kReturn, SECCOMP_RET_KILL_PROCESS);
  add(kReturn, SECCOMP_RET_ALLOW);
}

Result<> SystemCallFilter::install() {
  add(kReturn, SECCOMP_RET_KILL_PROCESS);
  const sock_fprog program{size_, code_.data()};
  // A thread that cannot follow is an error, too.
  constexpr unsigned kFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &program) != 0) return failure("seccomp", errno);
  return {};
}

void SystemCallFilter::add(std::uint32_t code, std::uint32_t k, std::uint8_t if_true, std::uint8_t if_false) {
  code_.at(size_++) = {static_cast<std::uint16_t>(code), if_true, if_false, k};
}

}  // namespace clat::clatd
