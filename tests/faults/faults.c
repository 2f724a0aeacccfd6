// Makes system calls fail at a test's word: LD_PRELOAD=faults.so CLATVISOR_FAULTS=FILE clatvisor …
//
// FILE is a struct Control, shared with the test (tests/netns/harness/faults.py), which reads the counts of calls and
// arms faults while the program runs. Only calls made by the program itself, by libbpf and by libmnl count, not those
// of libuv, libc or the C++ library, for which there is no caller to answer; fork and execvp, which libuv makes for us,
// excepted.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The order of the slots in the file; faults.py reads the names from there.
// clang-format off
#define CALLS(X) \
  X(accept4) X(access) X(bind) X(bpf) X(connect) X(execvp) X(faccessat) X(fchmod) X(fchmodat) X(fchown) X(fchownat) \
  X(fcntl) X(fdopendir) X(flock) X(fork) X(fstat) X(fstatat) X(fstatfs) X(ftruncate) X(getrandom) X(getsockname) \
  X(getsockopt) X(ioctl) X(kill) X(listen) X(lstat) \
  X(mkdir) X(mkdirat) X(open) X(openat) X(pipe2) X(poll) X(prctl) X(read) X(readlinkat) X(recv) X(recvmsg) X(renameat) \
  X(rmdir) X(send) X(sendto) X(setsockopt) X(signalfd) X(socket) X(socketpair) X(stat) X(statfs) X(unlink) X(unlinkat) \
  X(waitid) X(write)
// clang-format on

enum Call {
#define X(name) kCall_##name,
  CALLS(X)
#undef X
      kCalls
};

struct Slot {
  char name[16];
  _Atomic uint64_t calls;
  _Atomic uint64_t first;  // the number of the first call that fails, from 1; 0: none
  _Atomic uint64_t count;  // how many fail from there on
  _Atomic uint64_t failed;
  _Atomic int64_t code;  // errno
};

struct Control {
  _Atomic int64_t wall_clock;       // seconds that CLOCK_REALTIME is ahead
  _Atomic uint64_t receive_buffer;  // bytes, instead of what SO_RCVBUF(FORCE) is set to; 0: as asked
  struct Slot slots[kCalls];
};

static struct Control* control;
static const char* const libraries[] = {"/libbpf.", "/libmnl."};
enum { kCallers = 1 + sizeof libraries / sizeof *libraries };
static struct {
  uintptr_t begin, end;
} callers[kCallers];  // the program, then the libraries

static int caller_of(const struct dl_phdr_info* object, bool program) {
  if (program) return 0;
  for (int i = 1; i < kCallers; ++i) {
    if (strstr(object->dlpi_name, libraries[i - 1]) != NULL) return i;
  }
  return -1;
}

static int find_callers(struct dl_phdr_info* object, size_t size, void* first) {
  (void)size;
  const int caller = caller_of(object, *(bool*)first);
  *(bool*)first = false;
  if (caller < 0) return 0;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)* part = &object->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0) continue;
    callers[caller].begin = object->dlpi_addr + part->p_vaddr;
    callers[caller].end = callers[caller].begin + part->p_memsz;
  }
  return 0;
}

__attribute__((constructor)) static void start(void) {
  const char* file = getenv("CLATVISOR_FAULTS");
  // Not in the wrappers that a test starts it with.
  if (file == NULL || strcmp(program_invocation_short_name, "clatvisor") != 0) return;
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void* shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) abort();
  close(fd);
  bool first = true;
  dl_iterate_phdr(find_callers, &first);
  control = shared;
  static const char* const names[] = {
#define X(name) #name,
      CALLS(X)
#undef X
  };
  for (int i = 0; i < kCalls; ++i) strncpy(control->slots[i].name, names[i], sizeof control->slots[i].name - 1);
}

static bool counts(enum Call call, const void* from) {
  if (control == NULL) return false;
  if (call == kCall_fork || call == kCall_execvp) return true;
  const uintptr_t at = (uintptr_t)from;
  for (int i = 0; i < kCallers; ++i) {
    if (at >= callers[i].begin && at < callers[i].end) return true;
  }
  return false;
}

static bool fails(enum Call call, const void* from) {
  if (!counts(call, from)) return false;
  struct Slot* slot = &control->slots[call];
  const uint64_t number = atomic_fetch_add(&slot->calls, 1) + 1;
  const uint64_t first = atomic_load(&slot->first);
  if (first == 0 || number < first || number >= first + atomic_load(&slot->count)) return false;
  atomic_fetch_add(&slot->failed, 1);
  errno = (int)atomic_load(&slot->code);
  return true;
}

static void* next(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

#define EXPORT __attribute__((visibility("default")))
#define WRAP_AS(symbol, call, result, error, parameters, arguments)                     \
  EXPORT result symbol parameters {                                                     \
    static result(*real) parameters;                                                    \
    if (real == NULL) *(void**)&real = next(#symbol);                                   \
    return fails(kCall_##call, __builtin_return_address(0)) ? (error) : real arguments; \
  }
#define WRAP(name, result, parameters, arguments) WRAP_AS(name, name, result, -1, parameters, arguments)

WRAP(accept4, int, (int fd, struct sockaddr* address, socklen_t* size, int flags), (fd, address, size, flags))
WRAP(access, int, (const char* path, int mode), (path, mode))
WRAP(bind, int, (int fd, const struct sockaddr* address, socklen_t size), (fd, address, size))
WRAP(connect, int, (int fd, const struct sockaddr* address, socklen_t size), (fd, address, size))
WRAP(execvp, int, (const char* file, char* const argv[]), (file, argv))
WRAP(faccessat, int, (int fd, const char* path, int mode, int flags), (fd, path, mode, flags))
WRAP(fchmod, int, (int fd, mode_t mode), (fd, mode))
WRAP(fchmodat, int, (int fd, const char* path, mode_t mode, int flags), (fd, path, mode, flags))
WRAP(fchown, int, (int fd, uid_t owner, gid_t group), (fd, owner, group))
WRAP(fchownat, int, (int fd, const char* path, uid_t owner, gid_t group, int flags), (fd, path, owner, group, flags))
WRAP(flock, int, (int fd, int operation), (fd, operation))
WRAP(fork, pid_t, (void), ())
WRAP(fstat, int, (int fd, struct stat* status), (fd, status))
WRAP(fstatat, int, (int fd, const char* path, struct stat* status, int flags), (fd, path, status, flags))
WRAP(fstatfs, int, (int fd, struct statfs* facts), (fd, facts))
WRAP(ftruncate, int, (int fd, off_t size), (fd, size))
WRAP(getrandom, ssize_t, (void* bytes, size_t size, unsigned flags), (bytes, size, flags))
WRAP(getsockname, int, (int fd, struct sockaddr* address, socklen_t* size), (fd, address, size))
WRAP(getsockopt, int, (int fd, int level, int name, void* value, socklen_t* size), (fd, level, name, value, size))
WRAP(kill, int, (pid_t pid, int signal), (pid, signal))
WRAP(listen, int, (int fd, int backlog), (fd, backlog))
WRAP(lstat, int, (const char* path, struct stat* status), (path, status))
WRAP(mkdir, int, (const char* path, mode_t mode), (path, mode))
WRAP(mkdirat, int, (int fd, const char* path, mode_t mode), (fd, path, mode))
WRAP(pipe2, int, (int fds[2], int flags), (fds, flags))
WRAP(poll, int, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(read, ssize_t, (int fd, void* bytes, size_t size), (fd, bytes, size))
WRAP(readlinkat, ssize_t, (int fd, const char* path, char* target, size_t size), (fd, path, target, size))
WRAP(recv, ssize_t, (int fd, void* bytes, size_t size, int flags), (fd, bytes, size, flags))
WRAP(recvmsg, ssize_t, (int fd, struct msghdr* message, int flags), (fd, message, flags))
WRAP(renameat, int, (int from, const char* old, int to, const char* new), (from, old, to, new))
WRAP(rmdir, int, (const char* path), (path))
WRAP(send, ssize_t, (int fd, const void* bytes, size_t size, int flags), (fd, bytes, size, flags))
WRAP(sendto, ssize_t,
     (int fd, const void* bytes, size_t size, int flags, const struct sockaddr* address, socklen_t length),
     (fd, bytes, size, flags, address, length))
WRAP(signalfd, int, (int fd, const sigset_t* set, int flags), (fd, set, flags))
WRAP(socket, int, (int family, int type, int protocol), (family, type, protocol))
WRAP(socketpair, int, (int family, int type, int protocol, int fds[2]), (family, type, protocol, fds))
WRAP(stat, int, (const char* path, struct stat* status), (path, status))
WRAP(statfs, int, (const char* path, struct statfs* facts), (path, facts))
WRAP_AS(statfs64, statfs, int, -1, (const char* path, struct statfs64* facts), (path, facts))
WRAP(unlink, int, (const char* path), (path))
WRAP(unlinkat, int, (int fd, const char* path, int flags), (fd, path, flags))
WRAP(waitid, int, (idtype_t type, id_t id, siginfo_t* info, int options), (type, id, info, options))
WRAP(write, ssize_t, (int fd, const void* bytes, size_t size), (fd, bytes, size))
WRAP_AS(fdopendir, fdopendir, DIR*, NULL, (int fd), (fd))

// Those with optional arguments: passing on one word more than was given does no harm on any ABI of Linux.
#define OPTIONAL(last, type)            \
  va_list rest;                         \
  va_start(rest, last);                 \
  const type more = va_arg(rest, type); \
  va_end(rest)

#define WRAP_VARIADIC(symbol, call, last, type, parameters, ...)                            \
  EXPORT int symbol parameters {                                                            \
    static int(*real) parameters;                                                           \
    if (real == NULL) *(void**)&real = next(#symbol);                                       \
    OPTIONAL(last, type);                                                                   \
    return fails(kCall_##call, __builtin_return_address(0)) ? -1 : real(__VA_ARGS__, more); \
  }

WRAP_VARIADIC(open, open, flags, int, (const char* path, int flags, ...), path, flags)
WRAP_VARIADIC(open64, open, flags, int, (const char* path, int flags, ...), path, flags)
WRAP_VARIADIC(openat, openat, flags, int, (int fd, const char* path, int flags, ...), fd, path, flags)
WRAP_VARIADIC(ioctl, ioctl, request, long, (int fd, unsigned long request, ...), fd, request)
WRAP_VARIADIC(fcntl, fcntl, command, long, (int fd, int command, ...), fd, command)
WRAP_VARIADIC(fcntl64, fcntl, command, long, (int fd, int command, ...), fd, command)

EXPORT int prctl(int option, ...) {
  static int (*real)(int, ...);
  if (real == NULL) *(void**)&real = next("prctl");
  va_list rest;
  va_start(rest, option);
  unsigned long words[4];
  for (int i = 0; i < 4; ++i) words[i] = va_arg(rest, unsigned long);
  va_end(rest);
  return fails(kCall_prctl, __builtin_return_address(0)) ? -1 : real(option, words[0], words[1], words[2], words[3]);
}

EXPORT long syscall(long number, ...) {
  static long (*real)(long, ...);
  if (real == NULL) *(void**)&real = next("syscall");
  va_list rest;
  va_start(rest, number);
  long words[6];
  for (int i = 0; i < 6; ++i) words[i] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_bpf && fails(kCall_bpf, __builtin_return_address(0))) return -1;
  return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

EXPORT int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  static int (*real)(int, int, int, const void*, socklen_t);
  if (real == NULL) *(void**)&real = next("setsockopt");
  if (fails(kCall_setsockopt, __builtin_return_address(0))) return -1;
  const int buffer = control == NULL ? 0 : (int)atomic_load(&control->receive_buffer);
  const bool sizes = level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_RCVBUFFORCE);
  return buffer != 0 && sizes ? real(fd, level, name, &buffer, sizeof buffer) : real(fd, level, name, value, size);
}

// What std::chrono::system_clock reads.
EXPORT int clock_gettime(clockid_t clock, struct timespec* now) {
  static int (*real)(clockid_t, struct timespec*);
  if (real == NULL) *(void**)&real = next("clock_gettime");
  const int result = real(clock, now);
  if (control != NULL && clock == CLOCK_REALTIME) now->tv_sec += atomic_load(&control->wall_clock);
  return result;
}
