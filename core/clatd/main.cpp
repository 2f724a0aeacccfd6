// clatd: one translator process, started by clatvisor for one uplink.
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "core/clatd/arguments.hpp"
#include "core/clatd/native_edge.hpp"
#include "core/clatd/output.hpp"
#include "core/clatd/sandbox.hpp"
#include "core/clatd/service.hpp"

namespace clat::clatd {
namespace {

constexpr int kDone = 0, kUsage = 64, kSystemError = 71;  // sysexits.h

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

std::uint16_t random_identification() {
  std::uint16_t value = 0;
  // Not for secrets: a kernel that has no randomness yet gives none.
  (void)!getrandom(&value, sizeof value, GRND_NONBLOCK);
  return value;
}

int exit_code(const Stop& stop) {
  switch (stop.cause) {
    case Stop::Cause::supervisor_gone: return kDone;
    case Stop::Cause::tun_gone: complain("the tun device is gone", stop.code); break;
    case Stop::Cause::tun_failed: complain("read from the tun", stop.code); break;
    case Stop::Cause::packet_socket_failed: complain("read from the packet socket", stop.code); break;
    case Stop::Cause::control_failed: complain("control socket", stop.code); break;
    case Stop::Cause::bad_request: complain("control socket: not a request of this version"); break;
    case Stop::Cause::bad_mtus: complain("control socket: an MTU that IPv6 cannot have"); break;
    case Stop::Cause::poll_failed: complain("poll", stop.code); break;
  }
  return kSystemError;
}

Result<> make_nonblocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && ((flags & O_NONBLOCK) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0)) return {};
  return failure("file descriptor " + std::to_string(fd), errno);
}

Result<> check_descriptors(const Arguments& arguments) {
  for (const int tun : arguments.tun_fds) {
    if (auto done = make_nonblocking(tun); !done) return done;
  }
  for (const auto& fd : {arguments.control_fd, arguments.packet_fd, arguments.raw_fd}) {
    if (fd && fcntl(*fd, F_GETFD) < 0) return failure("file descriptor " + std::to_string(*fd), errno);
  }
  return {};
}

std::vector<std::unique_ptr<Pump>> make_pumps(const Arguments& arguments, Shared& shared) {
  xlat::Settings settings{.v4 = arguments.v4,
                          .v6 = arguments.v6,
                          .prefix = arguments.prefix,
                          .ranges = arguments.ranges,
                          .private_in_wkp = arguments.private_in_wkp};
  std::vector<std::unique_ptr<Pump>> pumps;
  for (const int tun : arguments.tun_fds) {
    settings.first_identification = random_identification();
    pumps.push_back(std::make_unique<Pump>(settings, std::make_unique<NativeEdge>(tun), shared));
  }
  return pumps;
}

Result<Stop> serve(const Arguments& arguments, pid_t parent) {
  if (auto done = check_descriptors(arguments); !done) return std::unexpected(done.error());
  if (auto done = drop_privileges(arguments, parent); !done) return std::unexpected(done.error());
  const std::uint32_t mtu = arguments.mtu.value_or(kDefaultMtu);
  Shared shared{.mtus = {mtu, arguments.lowest_ipv6_mtu.value_or(mtu)},
                .errors = {arguments.icmp_rate, std::chrono::seconds(1), arguments.icmp_rate},
                .drops = {}};
  Service service(make_pumps(arguments, shared), shared, arguments.control_fd.value_or(-1),
                  [](const Stop& stop) { _exit(exit_code(stop)); });
  set_signals();
  if (auto done = service.start_threads(); !done) return std::unexpected(done.error());
  if (auto done = shut_in(arguments); !done) return std::unexpected(done.error());
  return service.run();
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
  const auto stop = serve(std::get<Arguments>(*line), parent);
  if (stop) return exit_code(*stop);
  complain(stop.error().what, stop.error().code);
  return kSystemError;
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
