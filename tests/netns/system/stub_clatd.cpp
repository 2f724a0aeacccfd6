// Stands in for a clatd that somebody else wrote: it tells on stdout, a line each, what it was handed, and then does
// what the name of its file says. `clatd.path` is a copy of it.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/clatd/control.hpp"

namespace {

using namespace clat;

constexpr int kTun = 3;
constexpr int kControl = 4;

std::string own_name() {
  std::array<char, 4096> path{};
  if (::readlink("/proc/self/exe", path.data(), path.size() - 1) < 0) std::exit(99);
  const std::string text = path.data();
  return text.substr(text.rfind('/') + 1);
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -errno;
}

void tell_tun(int fd) {
  ifreq request{};
  if (::ioctl(fd, TUNGETIFF, &request) != 0) return;
  std::printf(" tun=%s flags=0x%x", request.ifr_name,
              static_cast<unsigned>(static_cast<unsigned short>(request.ifr_flags)));
}

void tell_packet_socket(int fd) {
  sockaddr_ll bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  std::array<char, IF_NAMESIZE> device{};
  ::if_indextoname(static_cast<unsigned>(bound.sll_ifindex), device.data());
  std::printf(" bound=0x%04x@%s auxdata=%d vnet_hdr=%d", ntohs(bound.sll_protocol), device.data(),
              option(fd, SOL_PACKET, PACKET_AUXDATA), option(fd, SOL_PACKET, PACKET_VNET_HDR));
  std::array<sock_filter, 64> filter{};
  socklen_t length = filter.size();
  if (::getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, filter.data(), &length) != 0) return;
  std::printf(" filter=");
  for (socklen_t i = 0; i < length; ++i) {
    const auto& step = filter.at(i);
    std::printf("%s%x:%d:%d:%x", i == 0 ? "" : ",", step.code, step.jt, step.jf, step.k);
  }
}

void tell_fd(int fd) {
  std::array<char, 256> target{};
  if (::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size() - 1) < 0) return;
  std::string kind = target.data();
  kind = kind.substr(0, kind.find(':'));
  const bool nonblocking = (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
  std::printf("fd %d %s nonblock=%d", fd, kind.c_str(), nonblocking ? 1 : 0);
  tell_tun(fd);
  const int domain = option(fd, SOL_SOCKET, SO_DOMAIN);
  if (domain >= 0) {
    std::printf(" domain=%d type=%d protocol=%d mark=0x%x", domain, option(fd, SOL_SOCKET, SO_TYPE),
                option(fd, SOL_SOCKET, SO_PROTOCOL), static_cast<unsigned>(option(fd, SOL_SOCKET, SO_MARK)));
  }
  if (domain == AF_PACKET) tell_packet_socket(fd);
  std::printf("\n");
}

void tell_all(int argc, char** argv) {
  std::printf("argv");
  for (int i = 0; i < argc; ++i) std::printf(" %s", argv[i]);
  std::printf("\nenvironment %s\n", environ[0] == nullptr ? "empty" : environ[0]);
  std::vector<int> fds;
  DIR* folder = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] != '.' && std::atoi(entry->d_name) != ::dirfd(folder)) fds.push_back(std::atoi(entry->d_name));
  }
  ::closedir(folder);
  for (const int fd : fds) tell_fd(fd);
  std::printf("told\n");
  std::fflush(stdout);
}

void say(control::Kind kind, std::uint64_t cookie) {
  control::Report report;
  report.kind = kind;
  report.cookie = cookie;
  if (::send(kControl, &report, sizeof report, MSG_NOSIGNAL) < 0) std::exit(98);
}

[[noreturn]] void wait_for_signal() {
  for (;;) ::pause();
}

// An abstract socket of this network namespace.
int open_orders(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(&address.sun_path[1], sizeof(address.sun_path) - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const int orders = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (::bind(orders, reinterpret_cast<const sockaddr*>(&address), size) != 0) std::exit(96);
  return orders;
}

// Writes what was ordered behind an empty vnet header, and answers with the errno of that.
void obey(int orders) {
  std::array<char, 65536> packet{};
  std::array<char, 10> vnet{};
  sockaddr_un from{};
  socklen_t from_size = sizeof from;
  const ssize_t size =
      ::recvfrom(orders, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_size);
  if (size < 0) std::exit(95);
  std::array<iovec, 2> parts{iovec{vnet.data(), vnet.size()}, iovec{packet.data(), static_cast<std::size_t>(size)}};
  const unsigned char error = ::writev(kTun, parts.data(), parts.size()) < 0 ? static_cast<unsigned char>(errno) : 0;
  ::sendto(orders, &error, sizeof error, 0, reinterpret_cast<const sockaddr*>(&from), from_size);
}

// A clatd in the wrong hands: as nobody, it writes whatever it is told to. It does not die with its supervisor; called
// forges-on, nor when it is told to.
[[noreturn]] void forge(const std::string& uplink) {
  constexpr unsigned kNobody = 65534;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0) {
    std::exit(94);
  }
  const int orders = open_orders("forges-" + uplink);
  say(control::Kind::ready, 0);
  int control = kControl;  // -1: its supervisor is gone
  for (;;) {
    std::array<pollfd, 2> wait{pollfd{control, POLLIN, 0}, pollfd{orders, POLLIN, 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0) std::exit(93);
    control::Request request;
    if ((wait[0].revents & POLLIN) != 0 && ::recv(kControl, &request, sizeof request, MSG_DONTWAIT) > 0) {
      say(control::Kind::report, request.cookie);
    } else if (wait[0].revents != 0) {
      control = -1;
    }
    if ((wait[1].revents & POLLIN) != 0) obey(orders);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string deed = own_name();
  tell_all(argc, argv);
  if (deed == "refuses") return 64;
  if (deed == "android") wait_for_signal();
  if (deed == "forges-on") ::signal(SIGTERM, SIG_IGN);
  if (deed.starts_with("forges") && argc > 2) forge(argv[2]);
  say(control::Kind::ready, 0);
  if (deed == "deaf") wait_for_signal();  // ready, and never again a word
  if (deed == "hangs-up") {
    ::close(kControl);
    wait_for_signal();
  }
  if (deed == "lies") {
    say(control::Kind::report, 77);
    wait_for_signal();
  }
  return 97;
}
