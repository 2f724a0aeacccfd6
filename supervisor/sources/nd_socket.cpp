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
#include "core/net/nd_packet.hpp"
#include "core/net/router_advertisement.hpp"
#include "supervisor/sources/loads.hpp"

namespace clat::sources {

namespace {

// What routers advertise, where that is wanted; what is said of the CLAT's address, and who wants it. Nothing of
// another link, and no questions for who has it. Packets begin with the IPv6 header.
Result<> hear_only(const Fd& socket, const model::ListenSpec& spec) {
  constexpr std::uint8_t kAccept = 24, kRefuse = 25, kTarget = 16;
  constexpr auto past = [](unsigned from, unsigned to) { return static_cast<std::uint8_t>(to - from - 1); };
  const auto target = [&](std::size_t word) { return spec.v6 ? word_of(*spec.v6, word) : 0; };
  const std::uint8_t advertised = spec.routers ? kAccept : kRefuse;
  const std::uint8_t said = spec.v6 ? kTarget : kRefuse;
  const std::uint8_t asked = spec.v6 ? 8 : kRefuse;
  const std::array<sock_filter, 26> program{{
      /* 0 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),  // next header
      /* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, past(1, kRefuse)),
      /* 2 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 7),  // hop limit
      /* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 255, 0, past(3, kRefuse)),
      /* 4 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),  // ICMPv6 type
      /* 5 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 134, past(5, advertised), 0),
      /* 6 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, past(6, said), 0),
      /* 7 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 135, past(7, asked), past(7, kRefuse)),
      /* 8 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8),  // source: nobody
      /* 9 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, past(9, kRefuse)),
      /* 10 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
      /* 11 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, past(11, kRefuse)),
      /* 12 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
      /* 13 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, past(13, kRefuse)),
      /* 14 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20),
      /* 15 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, past(15, kRefuse)),
      /* 16 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 48),  // target
      /* 17 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, target(0), 0, past(17, kRefuse)),
      /* 18 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 52),
      /* 19 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, target(1), 0, past(19, kRefuse)),
      /* 20 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 56),
      /* 21 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, target(2), 0, past(21, kRefuse)),
      /* 22 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60),
      /* 23 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, target(3), 0, past(23, kRefuse)),
      /* 24 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      /* 25 */ BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  return attach_filter(socket, program);
}

bool is_router_advertisement(std::span<const std::uint8_t> packet) { return packet.size() > 40 && packet[40] == 134; }

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
  return in_context(send(packet, group_mac(kAllRouters)), "send a Router Solicitation on " + spec_.uplink);
}

Result<> NdSocket::advertise(const AddressClaim& claim) {
  return in_context(send(unsolicited_advertisement(claim), group_mac(kAllNodes)),
                    "send a Neighbour Advertisement on " + spec_.uplink);
}

Result<> NdSocket::probe(const AddressProbe& probe) {
  return in_context(send(duplicate_address_probe(probe), group_mac(solicited_node_group(probe.target))),
                    "send a Neighbour Solicitation on " + spec_.uplink);
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
    if (got <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
    const auto packet = std::span<const std::uint8_t>(buffer_).first(static_cast<std::size_t>(got));
    MacAddress sender;
    std::copy_n(from.sll_addr, sender.bytes.size(), sender.bytes.begin());
    auto event = is_router_advertisement(packet) ? hear_router(packet) : hear_neighbour(packet, sender);
    if (event) heard.push_back(std::move(*event));
  }
  // What is heard may end this very socket.
  const auto sink = sink_;
  for (auto& each : heard) sink(std::move(each));
}

std::optional<model::Event> NdSocket::hear_router(std::span<const std::uint8_t> packet) {
  if (!heed_routers_.take(nanoseconds_now())) {
    ++unheard_;
    return std::nullopt;
  }
  auto told = parse_router_advertisement(packet);
  if (!told) return std::nullopt;
  return model::RouterHeard{spec_.uplink, told->router, std::move(told->prefixes), std::move(told->name_servers),
                            told->mtu};
}

std::optional<model::Event> NdSocket::hear_neighbour(std::span<const std::uint8_t> packet, const MacAddress& sender) {
  if (!heed_neighbours_.take(nanoseconds_now())) {
    ++unheard_;
    if (std::exchange(told_flood_, true)) return std::nullopt;
    return model::NeighboursFlood{spec_.uplink};
  }
  auto said = parse_neighbour_message(packet);
  // Of an address that was the CLAT's a moment ago, it waited here.
  if (!said || said->kind == NeighbourMessage::Kind::question || said->target != spec_.v6) return std::nullopt;
  return model::AddressContested{spec_.uplink, *std::move(said), sender};
}

}  // namespace clat::sources
