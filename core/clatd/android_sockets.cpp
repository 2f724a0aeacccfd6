#include "core/clatd/android_sockets.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "core/base/socket_filter.hpp"

namespace clat::android {

namespace {

template <class Value>
Result<> set(const Fd& socket, int level, int option, const Value& value, const char* name) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) != 0) return failure(name, errno);
  return {};
}

Result<> set_anycast(const Fd& socket, int ifindex, const Ipv6Address& address) {
  ipv6_mreq membership{};
  std::memcpy(&membership.ipv6mr_multiaddr, address.bytes.data(), address.bytes.size());
  membership.ipv6mr_interface = ifindex;
  return set(socket, IPPROTO_IPV6, IPV6_JOIN_ANYCAST, membership, "IPV6_JOIN_ANYCAST");
}

// The four words of the IPv6 destination. Classic BPF, and the kernel compares in host order.
Result<> set_filter(const Fd& socket, const Ipv6Address& address) {
  constexpr std::uint32_t kDestination = static_cast<std::uint32_t>(SKF_NET_OFF) + 24;
  constexpr std::uint32_t kAll = 0xffffffff;
  std::array<sock_filter, 10> program{};
  for (std::uint8_t word = 0; word < 4; ++word) {
    std::uint32_t expected = 0;
    std::memcpy(&expected, address.bytes.data() + std::size_t{word} * 4, sizeof expected);
    const auto to_refuse = static_cast<std::uint8_t>(7 - 2 * word);
    program.at(std::size_t{word} * 2) = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kDestination + std::uint32_t{word} * 4);
    program.at(std::size_t{word} * 2 + 1) = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(expected), 0, to_refuse);
  }
  program[8] = BPF_STMT(BPF_RET | BPF_K, kAll);
  program[9] = BPF_STMT(BPF_RET | BPF_K, 0);
  return attach_filter(socket, program);
}

}  // namespace

Result<Fd> open_packet_socket(int ifindex, const Ipv6Address& address) {
  const std::string context = "packet socket for " + address.text();
  // Without a protocol it receives nothing: the filter is there before the first packet.
  Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket) return failure(context, errno);
  auto done = set(socket, SOL_PACKET, PACKET_AUXDATA, int{1}, "PACKET_AUXDATA");
  if (done) done = set(socket, SOL_PACKET, PACKET_VNET_HDR, int{1}, "PACKET_VNET_HDR");
  if (done) done = set_filter(socket, address);
  if (!done) return std::unexpected(std::move(done.error()).in(context));
  sockaddr_ll uplink{};
  uplink.sll_family = AF_PACKET;
  uplink.sll_protocol = htons(ETH_P_IPV6);
  uplink.sll_ifindex = ifindex;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&uplink), sizeof uplink) != 0) {
    return failure(context + ": bind", errno);
  }
  return socket;
}

Result<Fd> open_raw_socket(int ifindex, const Ipv6Address& address, std::uint32_t mark) {
  const std::string context = "raw socket for " + address.text();
  Fd socket(::socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!socket) return failure(context, errno);
  auto done = set(socket, SOL_SOCKET, SO_MARK, mark, "SO_MARK");
  if (done) done = set_anycast(socket, ifindex, address);
  if (!done) return std::unexpected(std::move(done.error()).in(context));
  return socket;
}

Result<Fd> join_anycast(int ifindex, const Ipv6Address& address) {
  Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return failure("anycast " + address.text(), errno);
  if (auto joined = set_anycast(socket, ifindex, address); !joined) {
    return std::unexpected(std::move(joined.error()).in("anycast " + address.text()));
  }
  return socket;
}

}  // namespace clat::android
