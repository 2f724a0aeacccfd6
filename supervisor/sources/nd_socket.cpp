#include "supervisor/sources/nd_socket.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <span>
#include <utility>
#include <vector>

#include "core/base/socket_filter.hpp"
#include "core/net/router_advertisement.hpp"

namespace clat::sources {

namespace {

constexpr MacAddress kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};
constexpr MacAddress kAllRoutersMac{{0x33, 0x33, 0, 0, 0, 2}};

// Router advertisements alone, none of those of another link; or nothing. Packets begin with the IPv6 header.
Result<> hear_only(const Fd& socket, const model::ListenSpec& spec) {
  constexpr auto to_refuse = [](std::uint8_t from) { return static_cast<std::uint8_t>(7 - from - 1); };
  const std::uint32_t accepted = spec.routers ? UINT32_MAX : 0;
  const std::array<sock_filter, 8> program{{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),  // next header
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, to_refuse(1)),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 7),  // hop limit
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 255, 0, to_refuse(3)),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),  // ICMPv6 type
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 134, 0, to_refuse(5)),
      BPF_STMT(BPF_RET | BPF_K, accepted),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  return attach_filter(socket, program);
}

sockaddr_ll on_link(int ifindex) {
  return {.sll_family = AF_PACKET,
          .sll_protocol = htons(ETH_P_IPV6),
          .sll_ifindex = ifindex,
          .sll_hatype = 0,
          .sll_pkttype = 0,
          .sll_halen = 0,
          .sll_addr = {}};
}

std::uint64_t nanoseconds_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace

Result<std::unique_ptr<NdSocket>> NdSocket::open(loop::Loop& loop, const model::ListenSpec& spec, loop::Sink sink) {
  const std::string context = "listen to the neighbours of " + spec.uplink;
  // Without a protocol it receives nothing: the filter is there before the first packet.
  Fd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return failure(context, errno);
  if (auto filtered = hear_only(socket, spec); !filtered) {
    return std::unexpected(std::move(filtered.error()).in(context));
  }
  const auto link = on_link(spec.uplink_ifindex);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&link), sizeof link) != 0) return failure(context, errno);
  std::unique_ptr<NdSocket> opened(new NdSocket(spec, std::move(socket), std::move(sink)));
  auto watch = loop.watch(opened->socket_.get(), [self = opened.get()](loop::Wake) { self->read(); });
  if (!watch) return std::unexpected(std::move(watch.error()).in(context));
  opened->watch_ = std::move(*watch);
  return opened;
}

Result<> NdSocket::change(const model::ListenSpec& spec) {
  auto filtered = in_context(hear_only(socket_, spec), "listen to the neighbours of " + spec.uplink);
  if (filtered) spec_ = spec;
  return filtered;
}

Result<> NdSocket::solicit() {
  static const auto packet = router_solicitation();
  return in_context(send(packet, kAllRoutersMac), "send a Router Solicitation on " + spec_.uplink);
}

Result<> NdSocket::advertise(const AddressClaim& claim) {
  return in_context(send(unsolicited_advertisement(claim), kAllNodesMac),
                    "send a Neighbour Advertisement on " + spec_.uplink);
}

Result<> NdSocket::send(std::span<const std::uint8_t> packet, const MacAddress& mac) {
  auto to = on_link(spec_.uplink_ifindex);
  if (spec_.layer == LinkLayer::ethernet) {
    to.sll_halen = static_cast<unsigned char>(mac.bytes.size());
    std::ranges::copy(mac.bytes, to.sll_addr);
  }
  if (::sendto(socket_.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) {
    return failure("sendto", errno);
  }
  return {};
}

// A socket that had an error (the link went down) is read like any other: that clears it.
void NdSocket::read() {
  constexpr int kAtOnce = 64;
  std::vector<model::Event> heard;
  for (int i = 0; i < kAtOnce; ++i) {
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) continue;
    if (from.sll_pkttype == PACKET_OUTGOING || !heed_.take(nanoseconds_now())) continue;
    auto told = parse_router_advertisement(std::span(buffer_).first(static_cast<std::size_t>(got)));
    if (told) heard.emplace_back(model::RouterHeard{spec_.uplink, told->router, std::move(told->prefixes)});
  }
  // What is heard may end this very listener.
  const auto sink = sink_;
  for (auto& each : heard) sink(std::move(each));
}

}  // namespace clat::sources
