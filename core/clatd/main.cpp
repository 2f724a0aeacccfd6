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
#include <memory>
#include <utility>
#include <vector>

#include "core/clatd/android_port.hpp"
#include "core/clatd/android_setup.hpp"
#include "core/clatd/arguments.hpp"
#include "core/clatd/native_port.hpp"
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
  // A terminal sends these to the whole process group; only the supervisor decides when clatd stops.
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

std::unique_ptr<Port> make_port(const Arguments& arguments, int tun_fd) {
  if (arguments.dialect == Dialect::native) return std::make_unique<NativePort>(tun_fd);
  return std::make_unique<AndroidPort>(tun_fd, *arguments.packet_fd, *arguments.raw_fd);
}

std::vector<std::unique_ptr<Pump>> make_pumps(const Arguments& arguments, Shared& shared) {
  xlat::Settings settings{.v4 = arguments.v4,
                          .v6 = arguments.v6,
                          .prefix = arguments.prefix,
                          .ranges = arguments.ranges,
                          .allow_private_ipv4 = arguments.allow_private_ipv4};
  std::vector<std::unique_ptr<Pump>> pumps;
  for (const int tun : arguments.tun_fds) {
    settings.first_identification = random_identification();
    pumps.push_back(std::make_unique<Pump>(settings, make_port(arguments, tun), shared));
  }
  return pumps;
}

// Fills in the settings that Android's supervisor does not pass.
Result<> fill_in_for_android(Arguments& arguments) {
  constexpr Ids kNobody{65534, 65534};
  if (!arguments.ids && geteuid() == 0) arguments.ids = kNobody;
  if (!arguments.mtu) {
    const auto mtu = interface_mtu(arguments.interface);
    if (!mtu) return std::unexpected(mtu.error());
    arguments.mtu = std::clamp(*mtu, kIpv6MinimumMtu, kLargestIpv6Mtu);
  }
  if (arguments.dialect != Dialect::aosp_2019) return {};
  auto sockets = set_up_as_android(arguments, *arguments.mtu);
  if (!sockets) return std::unexpected(sockets.error());
  // The process keeps them until it ends.
  arguments.packet_fd = sockets->packet.release();
  arguments.raw_fd = sockets->raw.release();
  std::array<char, 80> line;
  std::snprintf(line.data(), line.size(), "uplink %s, network id %u, mark 0x%x", arguments.interface.c_str(),
                arguments.network_id, arguments.mark);
  complain(line.data());
  return {};
}

[[noreturn]] void end(const Stop& stop) { _exit(exit_code(stop)); }

void need(const Result<>& done) {
  if (done) return;
  complain(done.error().what, done.error().code);
  _exit(kSystemError);
}

// Never returns: the sandbox forbids the system calls that would release what it owns.
[[noreturn]] void serve(Arguments arguments, pid_t parent) {
  need(check_descriptors(arguments));
  if (arguments.dialect != Dialect::native) need(fill_in_for_android(arguments));
  need(drop_privileges(arguments, parent));
  const std::uint32_t mtu = arguments.mtu.value_or(kDefaultMtu);
  Shared shared{.mtus = {mtu, arguments.lowest_ipv6_mtu.value_or(mtu)},
                .errors = {arguments.icmp_rate, std::chrono::seconds(1), arguments.icmp_rate},
                .drops = {}};
  Service service(make_pumps(arguments, shared), shared, arguments.control_fd.value_or(-1), end);
  set_signals();
  need(service.start_threads());
  need(shut_in(arguments));
  end(service.run());
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
  serve(std::get<Arguments>(*line), parent);
}

}  // namespace
}  // namespace clat::clatd

// libstdc++ calls this for an uncaught exception. Its own version demangles the type's name, which takes 60 KiB of
// code. Nothing here throws but a failed allocation.
namespace __gnu_cxx {
void __verbose_terminate_handler();
void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx

// _exit: the sandbox allows no more, and there is nothing to flush.
int main(int argc, char** argv) { _exit(clat::clatd::run(argc, argv)); }
