#include "core/clatd/android_setup.hpp"

#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/clatd/android_sockets.hpp"
#include "core/net/mtu.hpp"

namespace clat::clatd {

namespace {

// For ioctl() on devices.
Result<Fd> any_socket() {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return failure("socket", errno);
  return fd;
}

Result<> set_interface(const Fd& fd, unsigned long request, const ifreq& wanted, const char* what) {
  if (ioctl(fd.get(), request, &wanted) != 0) return failure(std::string(wanted.ifr_name) + ": " + what, errno);
  return {};
}

ifreq named(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

Result<> configure_tun(int tun_fd, const Ipv4Address& v4, std::uint32_t ipv6_mtu) {
  ifreq tun{};
  if (ioctl(tun_fd, TUNGETIFF, &tun) != 0) return failure("TUNGETIFF", errno);
  const auto any = any_socket();
  if (!any) return std::unexpected(any.error());
  const std::string name(tun.ifr_name, strnlen(tun.ifr_name, IFNAMSIZ));

  auto request = named(name);
  request.ifr_mtu = static_cast<int>(tun_mtu(ipv6_mtu));
  if (auto done = set_interface(*any, SIOCSIFMTU, request, "set MTU"); !done) return done;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::memcpy(&address.sin_addr, v4.bytes.data(), v4.bytes.size());
  request = named(name);
  std::memcpy(&request.ifr_addr, &address, sizeof address);
  if (auto done = set_interface(*any, SIOCSIFADDR, request, "set address"); !done) return done;  // /32: point to point
  request = named(name);
  if (ioctl(any->get(), SIOCGIFFLAGS, &request) != 0) return failure(name + ": get flags", errno);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  return set_interface(*any, SIOCSIFFLAGS, request, "set up");
}

}  // namespace

Result<std::uint32_t> interface_mtu(const std::string& name) {
  const auto any = any_socket();
  if (!any) return std::unexpected(any.error());
  auto request = named(name);
  if (ioctl(any->get(), SIOCGIFMTU, &request) != 0) return failure(name + ": get MTU", errno);
  return static_cast<std::uint32_t>(std::max(request.ifr_mtu, 0));
}

Result<AndroidSockets> set_up_as_android(const Arguments& arguments, std::uint32_t ipv6_mtu) {
  const auto uplink = static_cast<int>(if_nametoindex(arguments.interface.c_str()));
  if (uplink == 0) return failure(arguments.interface, errno);
  auto packet = android::open_packet_socket(uplink, arguments.v6);
  if (!packet) return std::unexpected(packet.error());
  auto raw = android::open_raw_socket(uplink, arguments.v6, arguments.mark);
  if (!raw) return std::unexpected(raw.error());
  auto done = configure_tun(arguments.tun_fds.front(), arguments.v4, ipv6_mtu);
  if (!done) return std::unexpected(done.error());
  return AndroidSockets{std::move(*packet), std::move(*raw)};
}

}  // namespace clat::clatd
