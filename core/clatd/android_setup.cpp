#include "core/clatd/android_setup.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/net/mtu.hpp"

namespace clat::clatd {

namespace {

Result<Fd> open_socket(int family, int type, int protocol, const char* what) {
  Fd fd(socket(family, type | SOCK_CLOEXEC, protocol));
  if (!fd) return failure(what, errno);
  return fd;
}

template <class Value>
Result<> set_option(const Fd& fd, int level, int option, const Value& value, const char* what) {
  if (setsockopt(fd.get(), level, option, &value, sizeof value) != 0) return failure(what, errno);
  return {};
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

// Accepts packets to this IPv6 address.
Result<> attach_filter(const Fd& fd, const Ipv6Address& destination) {
  constexpr std::size_t kDestination = 24;  // in the IPv6 header
  constexpr std::size_t kWords = 4;
  std::array<sock_filter, 2 * kWords + 2> code{};
  auto next = code.begin();
  for (std::size_t i = 0; i < kWords; ++i) {
    std::uint32_t word = 0;
    std::memcpy(&word, destination.bytes.data() + 4 * i, 4);
    const auto offset = static_cast<std::uint32_t>(SKF_NET_OFF) + static_cast<std::uint32_t>(kDestination + 4 * i);
    const auto to_refusal = static_cast<std::uint8_t>(2 * (kWords - i) - 1);
    *next++ = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
    *next++ = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(word), 0, to_refusal);
  }
  *next++ = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
  *next = BPF_STMT(BPF_RET | BPF_K, 0);
  return set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog{code.size(), code.data()}, "SO_ATTACH_FILTER");
}

// Without a protocol a packet socket receives nothing; once bound, nothing but what the filter lets through.
Result<> configure_packet_socket(const Fd& fd, const Ipv6Address& v6, unsigned uplink) {
  if (auto done = set_option(fd, SOL_PACKET, PACKET_AUXDATA, 1, "PACKET_AUXDATA"); !done) return done;
  if (auto done = set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR"); !done) return done;
  if (auto done = attach_filter(fd, v6); !done) return done;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IPV6);
  address.sll_ifindex = static_cast<int>(uplink);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
  return failure("bind the packet socket", errno);
}

Result<> configure_raw_socket(const Fd& fd, const Ipv6Address& v6, unsigned uplink, std::uint32_t mark) {
  if (auto done = set_option(fd, SOL_SOCKET, SO_MARK, mark, "SO_MARK"); !done) return done;
  // The kernel then answers Neighbour Solicitations for it, for as long as the socket is open.
  ipv6_mreq anycast{};
  std::ranges::copy(v6.bytes, anycast.ipv6mr_multiaddr.s6_addr);
  anycast.ipv6mr_interface = uplink;
  return set_option(fd, IPPROTO_IPV6, IPV6_JOIN_ANYCAST, anycast, "IPV6_JOIN_ANYCAST");
}

Result<> configure_tun(int tun_fd, const Ipv4Address& v4, std::uint32_t ipv6_mtu) {
  ifreq tun{};
  if (ioctl(tun_fd, TUNGETIFF, &tun) != 0) return failure("TUNGETIFF", errno);
  const auto any = open_socket(AF_INET, SOCK_DGRAM, 0, "socket");
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
  const auto any = open_socket(AF_INET, SOCK_DGRAM, 0, "socket");
  if (!any) return std::unexpected(any.error());
  auto request = named(name);
  if (ioctl(any->get(), SIOCGIFMTU, &request) != 0) return failure(name + ": get MTU", errno);
  return static_cast<std::uint32_t>(std::max(request.ifr_mtu, 0));
}

Result<AndroidSockets> set_up_as_android(const Arguments& arguments, std::uint32_t ipv6_mtu) {
  const unsigned uplink = if_nametoindex(arguments.interface.c_str());
  if (uplink == 0) return failure(arguments.interface, errno);
  auto packet = open_socket(AF_PACKET, SOCK_RAW, 0, "packet socket");
  if (!packet) return std::unexpected(packet.error());
  auto raw = open_socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_RAW, "raw socket");
  if (!raw) return std::unexpected(raw.error());
  auto done = configure_packet_socket(*packet, arguments.v6, uplink);
  if (done) done = configure_raw_socket(*raw, arguments.v6, uplink, arguments.mark);
  if (done) done = configure_tun(arguments.tun_fds.front(), arguments.v4, ipv6_mtu);
  if (!done) return std::unexpected(done.error());
  return AndroidSockets{std::move(*packet), std::move(*raw)};
}

}  // namespace clat::clatd
