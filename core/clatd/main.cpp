// clatd: one translator process, started by clatvisor for one uplink.
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/clatd/arguments.hpp"
#include "core/clatd/pump.hpp"
#include "core/clatd/sandbox.hpp"

namespace clat::clatd {
namespace {

constexpr int kDone = 0, kUsage = 64, kSystemError = 71;  // sysexits.h

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// One write, so that lines of several processes do not mix; no heap, which the sandbox would not let grow.
void complain(std::string_view what, int code = 0) {
  std::array<char, 256> line;
  const int size = std::snprintf(line.data(), line.size(), "clatd: %.*s%s%s\n", static_cast<int>(what.size()),
                                 what.data(), code == 0 ? "" : ": ", code == 0 ? "" : std::strerror(code));
  if (size > 0) write_all(STDERR_FILENO, {line.data(), std::min(line.size() - 1, static_cast<std::size_t>(size))});
}

void set_signals() {
  struct sigaction stop{};
  stop.sa_handler = [](int) { _exit(kDone); };
  sigaction(SIGTERM, &stop, nullptr);
  // A terminal sends these to the whole group; when to stop is the supervisor's to say.
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE}) std::signal(number, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool make_nonblocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && ((flags & O_NONBLOCK) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

std::uint16_t random_identification() {
  std::uint16_t value = 0;
  // Not for secrets: a kernel that has no randomness yet gives none.
  (void)!getrandom(&value, sizeof value, GRND_NONBLOCK);
  return value;
}

int exit_code(const Stop& stop) {
  switch (stop.cause) {
    case Stop::Cause::supervisor_gone: return kDone;
    case Stop::Cause::tun_gone: complain("the tun device is gone", stop.code); return kSystemError;
    case Stop::Cause::tun_failed: complain("read from the tun", stop.code); return kSystemError;
    case Stop::Cause::control_failed: complain("control socket", stop.code); return kSystemError;
    case Stop::Cause::bad_request: complain("control socket: not a request of this version"); return kSystemError;
    case Stop::Cause::poll_failed: complain("poll", stop.code); return kSystemError;
  }
  return kSystemError;
}

int serve(const Arguments& arguments, pid_t parent) {
  if (!make_nonblocking(arguments.tun_fd)) {
    complain("-t: not an open file descriptor", errno);
    return kSystemError;
  }
  if (arguments.control_fd && fcntl(*arguments.control_fd, F_GETFD) < 0) {
    complain("--control-fd: not an open file descriptor", errno);
    return kSystemError;
  }
  const auto first_identification = random_identification();
  set_signals();
  if (const auto fault = enter_sandbox(arguments, parent)) {
    complain(fault->what, fault->code);
    return kSystemError;
  }
  Pump pump({arguments.v4, arguments.v6, arguments.prefix, first_identification}, arguments.tun_fd,
            arguments.control_fd.value_or(-1));
  return exit_code(pump.run());
}

int run(int argc, char** argv) {
  const pid_t parent = getppid();
  const auto line = parse({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)});
  if (!line) {
    complain(line.error());
    return kUsage;
  }
  if (std::holds_alternative<HelpWanted>(*line)) {
    write_all(STDOUT_FILENO, help_text());
    return kDone;
  }
  if (std::holds_alternative<VersionWanted>(*line)) {
    write_all(STDOUT_FILENO, "clatd " CLATVISOR_VERSION "\n");
    return kDone;
  }
  return serve(std::get<Arguments>(*line), parent);
}

}  // namespace
}  // namespace clat::clatd

// What libstdc++ does about an uncaught exception: without this it demangles the type's name, for 60 KiB of code.
// Nothing here throws but a failed allocation.
namespace __gnu_cxx {
void __verbose_terminate_handler();
void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx

// _exit: the sandbox allows no more, and there is nothing to flush.
int main(int argc, char** argv) { _exit(clat::clatd::run(argc, argv)); }
