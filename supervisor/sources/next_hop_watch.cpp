#include "supervisor/sources/next_hop_watch.hpp"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "core/base/socket_filter.hpp"
#include "supervisor/sources/loads.hpp"
#include "supervisor/system/netlink_socket.hpp"
#include "supervisor/system/rtnl_parse.hpp"

namespace clat::sources {

namespace {

// Of what the kernel tells about neighbours: that one of these routers does not answer any more; where some do not,
// also that one does. The kernel puts the address first of all attributes. What is loaded comes in network byte order,
// while the message has the host's.
Result<> hear_only(const Fd& socket, const model::ListenSpec& spec) {
  constexpr std::uint32_t kPass = UINT32_MAX;
  constexpr std::size_t kAddress = NLMSG_HDRLEN + sizeof(ndmsg) + NLA_HDRLEN;
  std::vector<sock_filter> program;
  const auto require = [&](std::uint32_t load, std::size_t offset, std::uint32_t value) {
    program.push_back(BPF_STMT(BPF_LD | load | BPF_ABS, at(offset)));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  };
  require(BPF_H, offsetof(nlmsghdr, nlmsg_type), htons(RTM_NEWNEIGH));
  require(BPF_B, NLMSG_HDRLEN + offsetof(ndmsg, ndm_family), AF_INET6);
  require(BPF_W, NLMSG_HDRLEN + offsetof(ndmsg, ndm_ifindex), htonl(static_cast<std::uint32_t>(spec.uplink_ifindex)));
  program.push_back(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at(NLMSG_HDRLEN + offsetof(ndmsg, ndm_state))));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(NUD_FAILED), 3, 0));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(spec.recovering ? NUD_REACHABLE : NUD_FAILED), 2, 0));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(spec.recovering ? NUD_STALE : NUD_FAILED), 1, 0));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  for (const auto& router : spec.next_hops) {
    constexpr std::size_t kWords = 4;
    for (std::size_t i = 0; i < kWords; ++i) {
      const auto past = static_cast<std::uint8_t>(2 * (kWords - 1 - i) + 1);  // to the next router
      program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at(kAddress + 4 * i)));
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word_of(router, i), 0, past));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, kPass));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  return attach_filter(socket, program);
}

}  // namespace

Result<std::unique_ptr<NextHopWatch>> NextHopWatch::open(loop::Loop& loop, const model::ListenSpec& spec,
                                                         loop::Sink sink) {
  const std::string context = "watch the routers of " + spec.uplink;
  auto socket = system::open_netlink(NETLINK_ROUTE, SOCK_NONBLOCK);
  if (!socket) return std::unexpected(std::move(socket).error().in(context));
  if (auto filtered = hear_only(*socket, spec); !filtered) {
    return std::unexpected(std::move(filtered.error()).in(context));
  }
  if (auto joined = system::join_groups(*socket, {RTNLGRP_NEIGH}); !joined) {
    return std::unexpected(std::move(joined).error().in(context));
  }
  std::unique_ptr<NextHopWatch> opened(new NextHopWatch(spec, *std::move(socket), std::move(sink)));
  auto watch = loop.watch(opened->socket_.get(), [self = opened.get()](loop::Wake) { self->read(); });
  if (!watch) return std::unexpected(std::move(watch.error()).in(context));
  opened->watch_ = std::move(*watch);
  return opened;
}

Result<> NextHopWatch::change(const model::ListenSpec& spec) {
  if (spec.next_hops == spec_.next_hops && spec.recovering == spec_.recovering) return {};
  auto filtered = in_context(hear_only(socket_, spec), "watch the routers of " + spec.uplink);
  if (filtered) spec_ = spec;
  return filtered;
}

// What was lost in an overrun comes again: the kernel asks anew for each packet that is to go by a dead router.
void NextHopWatch::read() {
  std::vector<model::Event> seen;
  for (;;) {
    const auto datagram = system::receive_datagram(socket_, buffer_);
    if (!datagram && datagram.error() == ENOBUFS) continue;
    if (!datagram) break;
    auto rest = datagram->bytes;
    while (const auto message = system::next_message(rest)) {
      const auto neighbour = system::parse_neighbour(*message);
      if (!neighbour || neighbour->device != spec_.uplink_ifindex || neighbour->failed == neighbour->answers) continue;
      seen.emplace_back(model::NextHopSeen{spec_.uplink, neighbour->address, neighbour->answers});
    }
  }
  // What is seen may end this very watch.
  const auto sink = sink_;
  for (auto& each : seen) sink(std::move(each));
}

}  // namespace clat::sources
