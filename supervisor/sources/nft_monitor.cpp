#include "supervisor/sources/nft_monitor.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "core/base/socket_filter.hpp"
#include "supervisor/system/netlink_socket.hpp"

namespace clat::sources {

namespace {

// Each transaction ends with the message of a new generation, in a datagram of its own. What it changed comes before
// that, many messages to a datagram, of which a filter sees the first only.
Result<> keep_generations_only(const Fd& socket) {
  // What is loaded comes in network byte order, while the message has the host's.
  const std::uint32_t generation = htons(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN);
  const std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, generation, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  return attach_filter(socket, program);
}

Result<> set(const Fd& socket, int level, int option, int value, const char* name) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) != 0) return failure(name, errno);
  return {};
}

// One message that waits says all that more of them would: the smallest buffer does, and those it has no room for are
// no error.
Result<> prepare(const Fd& socket) {
  if (auto filtered = keep_generations_only(socket); !filtered) return filtered;
  if (auto small = set(socket, SOL_SOCKET, SO_RCVBUF, 0, "SO_RCVBUF"); !small) return small;
  if (auto silent = set(socket, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1, "NETLINK_NO_ENOBUFS"); !silent) return silent;
  return system::join_groups(socket, {NFNLGRP_NFTABLES});
}

}  // namespace

Result<std::unique_ptr<NftMonitor>> NftMonitor::open(loop::Loop& loop, loop::Sink sink) {
  const std::string context = "watch nftables";
  auto socket = system::open_netlink(NETLINK_NETFILTER, SOCK_NONBLOCK);
  if (!socket) return std::unexpected(std::move(socket).error().in(context));
  if (auto prepared = prepare(*socket); !prepared) return std::unexpected(std::move(prepared).error().in(context));
  std::unique_ptr<NftMonitor> monitor(new NftMonitor(loop, *std::move(socket), std::move(sink)));
  if (auto watching = monitor->watch(); !watching) return std::unexpected(std::move(watching).error().in(context));
  return monitor;
}

Result<> NftMonitor::watch() {
  auto watch = loop_.watch(fd_.get(), [this](loop::Wake) { tell(); });
  if (!watch) {
    rest_.start(kRest);
    return std::unexpected(std::move(watch).error());
  }
  watch_ = std::move(*watch);
  return {};
}

// What comes from here on is told after the rest.
void NftMonitor::tell() {
  std::array<std::uint8_t, 4096> buffer{};
  bool heard = false;
  for (;;) {
    const auto datagram = system::receive_datagram(fd_, buffer);
    if (!datagram && datagram.error() == EAGAIN) break;
    heard = true;
    if (!datagram) break;
  }
  if (!heard) return;
  watch_.end();
  rest_.start(kRest);
  const auto sink = sink_;  // what is told may end this very monitor
  sink(model::NftablesChanged{});
}

}  // namespace clat::sources
