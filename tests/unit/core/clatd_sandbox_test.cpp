// What kills a process that went into the cell as clatd does.
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>

#include "clatd_fixture.hpp"
#include "core/clatd/sandbox.hpp"

namespace clat::clatd {
namespace {

// With a tun and a control socket.
class Cell : public testing::Test {
 protected:
  // Exit status of the deed, or 1000 + the signal that ended it.
  template <class Deed>
  static int after(Deed&& deed) {
    // The other ends stay open here.
    const auto tun = socket_pair(), control = socket_pair();
    const pid_t child = fork();
    if (child == 0) do_in_cell(tun.first.get(), control.first.get(), deed);
    int raw = 0;
    EXPECT_EQ(waitpid(child, &raw, 0), child);
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 1000 + WTERMSIG(raw);
  }
  static constexpr int kNoCell = 99;

  static Arguments of_clatd() {
    const auto line = parse(std::array{"-i", "wan0", "-p", "64:ff9b::/96", "-4", "192.0.0.4", "-6", "2001:db8::1", "-t",
                                       "3", "--tun-format", "vnet", "--control-fd", "4", "--user", "65534:65534"});
    return std::get<Arguments>(line.value());
  }

 private:
  template <class Deed>
  [[noreturn]] static void do_in_cell(int tun, int control, Deed&& deed) {
    const int high_tun = fcntl(tun, F_DUPFD, 300), high_control = fcntl(control, F_DUPFD, 300);
    dup2(high_tun, 3);
    dup2(high_control, 4);
    const auto arguments = of_clatd();
    if (!drop_privileges(arguments, getppid()) || !shut_in(arguments)) _exit(kNoCell);
    // At once: a destructor would close its descriptor, and that is forbidden.
    _exit(deed());
  }
};

long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  return syscall(number, a, b, c, d, e, f);
}
template <class T>
long at(T* pointer) {
  return reinterpret_cast<long>(pointer);
}
char byte[64];

struct Deed {
  const char* name;
  long (*attempt)();
};
class ForbiddenDeed : public Cell, public testing::WithParamInterface<Deed> {};

TEST_P(ForbiddenDeed, Kills) {
  EXPECT_EQ(after([] { return GetParam().attempt() == 0 ? 0 : 1; }), 1000 + SIGSYS);
}

#define DEED(name, expression)                         \
  Deed {                                               \
    name, [] { return static_cast<long>(expression); } \
  }
INSTANTIATE_TEST_SUITE_P(
    Table, ForbiddenDeed,
    testing::Values(
        DEED("openat", call(SYS_openat, AT_FDCWD, at("/dev/null"), O_RDONLY)),
        DEED("socket", call(SYS_socket, AF_INET, SOCK_DGRAM)), DEED("socketpair", call(SYS_socketpair, AF_UNIX)),
        DEED("connect", call(SYS_connect, 4)), DEED("bind", call(SYS_bind, 4)), DEED("accept4", call(SYS_accept4, 4)),
        DEED("sendmsg", call(SYS_sendmsg, 4)), DEED("recvmsg", call(SYS_recvmsg, 4)),
        DEED("setsockopt", call(SYS_setsockopt, 4)), DEED("fork", call(SYS_clone, SIGCHLD)),
        DEED("clone3", call(SYS_clone3)), DEED("execve", call(SYS_execve, at("/bin/true"))),
        DEED("execveat", call(SYS_execveat, 3)),
        DEED("map_memory", call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1)),
        DEED("map_code", call(SYS_mmap, 0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1)),
        DEED("mprotect", call(SYS_mprotect, at(byte) & ~4095L, 4096, PROT_EXEC)), DEED("brk", call(SYS_brk)),
        DEED("ptrace", call(SYS_ptrace)), DEED("process_vm_readv", call(SYS_process_vm_readv, 1)),
        DEED("kill", call(SYS_kill, 1, 0)), DEED("tgkill", call(SYS_tgkill, 1, 1, 0)),
        DEED("setuid", call(SYS_setuid, 0)), DEED("capset", call(SYS_capset)), DEED("prctl", call(SYS_prctl)),
        DEED("seccomp", call(SYS_seccomp)), DEED("setrlimit", call(SYS_prlimit64)), DEED("ioctl", call(SYS_ioctl, 3)),
        DEED("fcntl", call(SYS_fcntl, 3, F_GETFL)), DEED("dup", call(SYS_dup, 3)), DEED("close", call(SYS_close, 3)),
        DEED("futex", call(SYS_futex, at(byte))), DEED("bpf", call(SYS_bpf)),
        DEED("io_uring_setup", call(SYS_io_uring_setup, 1)), DEED("memfd_create", call(SYS_memfd_create, at(""))),
        DEED("unshare", call(SYS_unshare, 0x10000000)), DEED("setns", call(SYS_setns, 3)),
        DEED("mount", call(SYS_mount)), DEED("unlinkat", call(SYS_unlinkat, AT_FDCWD, at("/nowhere"))),
        DEED("keyctl", call(SYS_keyctl)), DEED("nanosleep", call(SYS_nanosleep)),
        DEED("exit_of_a_thread", call(SYS_exit)), DEED("getpid", call(SYS_getpid)),
        // Allowed calls, with what they are not meant for.
        DEED("read_stdin", call(SYS_read, 0, at(byte), 1)), DEED("read_control", call(SYS_read, 4, at(byte), 1)),
        DEED("write_stdout", call(SYS_write, 1, at(byte), 0)), DEED("write_control", call(SYS_write, 4, at(byte), 0)),
        DEED("receive_from_tun", call(SYS_recvfrom, 3, at(byte), 1, MSG_DONTWAIT)),
        DEED("send_to_tun", call(SYS_sendto, 3, at(byte), 1, MSG_DONTWAIT))),
    [](const auto& deed) { return deed.param.name; });
#undef DEED

#if defined(__x86_64__)
TEST_F(Cell, KillsCallsByTheNumbersOfAnotherAbi) {
  constexpr long kX32 = 0x40000000;
  EXPECT_EQ(after([] { return static_cast<int>(call(kX32 | SYS_write, 2, at(byte), 0)); }), 1000 + SIGSYS);
  EXPECT_EQ(after([] {
              long result = 20;  // getpid() of i386; of x86-64, writev()
              asm volatile("int $0x80" : "+a"(result) : : "memory");
              return 0;
            }),
            1000 + SIGSYS);
}
#endif

TEST_F(Cell, LeavesWhatATranslatorNeeds) {
  EXPECT_EQ(after([] {
              pollfd nothing{-1, POLLIN, 0};
              timespec now{};
              const bool good = poll(&nothing, 1, 1) == 0 && clock_gettime(CLOCK_MONOTONIC, &now) == 0 &&
                                call(SYS_clock_gettime, CLOCK_MONOTONIC, at(&now)) == 0 && write(3, "packet", 6) == 6 &&
                                write(2, "", 0) == 0 && call(SYS_sendto, 4, at("report"), 6, MSG_DONTWAIT) == 6 &&
                                call(SYS_recvfrom, 4, at(byte), 1, MSG_DONTWAIT) == -1;
              return good ? 42 : 1;
            }),
            42);
}

TEST_F(Cell, IsNotEnteredByAnOrphan) {
  const pid_t child = fork();
  if (child == 0) {
    const auto dropped = drop_privileges(of_clatd(), getppid() + 1);
    _exit(!dropped && dropped.error().what == "parent died" ? 42 : 1);
  }
  int raw = 0;
  ASSERT_EQ(waitpid(child, &raw, 0), child);
  EXPECT_EQ(WEXITSTATUS(raw), 42);
}

}  // namespace
}  // namespace clat::clatd
