#include "supervisor/sources/flow_watch.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>

#include "core/base/socket_filter.hpp"
#include "supervisor/system/lan_route.hpp"

namespace clat::sources {

namespace {

constexpr std::size_t kBuffer = std::size_t{64} * 1024;
constexpr int kReceiveBuffer = 1 << 20;   // bytes: some thousand events
constexpr std::size_t kAtATime = 64;      // messages: the loop has other things to do as well
constexpr std::chrono::seconds kBeat{2};  // well within kAnswer

// Of connections that are assured, and whose answers are for one of these addresses; the kernel tells of all others on
// the host, too. Offsets of a filter count from the message's start, and what it loads comes in host order.
Result<> hear_only(const Fd& socket, const model::ShortcutSpec& spec) {
  constexpr auto kFirst = static_cast<std::uint32_t>(NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg)));
  constexpr auto kFind = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR);
  constexpr auto kFindInside = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR_NEST);
  std::vector<sock_filter> program;
  const auto drop_unless = [&](sock_filter jump) {
    program.push_back(jump);
    program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  };
  const auto find = [&](std::uint32_t how, std::uint32_t type) {
    program.push_back(BPF_STMT(BPF_LDX | BPF_IMM, type));
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, how));
    drop_unless(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
  };
  const auto load_found = [&] {
    program.push_back(BPF_STMT(BPF_MISC | BPF_TAX, 0));
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_IND, NLA_HDRLEN));
  };
  program.push_back(BPF_STMT(BPF_LD | BPF_IMM, kFirst));
  find(kFind, CTA_STATUS);
  load_found();
  drop_unless(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IPS_ASSURED, 1, 0));
  program.push_back(BPF_STMT(BPF_LD | BPF_IMM, kFirst));
  find(kFind, CTA_TUPLE_REPLY);
  find(kFindInside, CTA_TUPLE_IP);
  find(kFindInside, CTA_IP_V4_DST);
  load_found();
  program.push_back(BPF_STMT(BPF_ST, 0));
  for (const auto& clat : spec.clats) {
    auto ours = clat.mapped;
    ours.push_back({clat.v4, 32});
    for (const auto& each : ours) {
      program.push_back(BPF_STMT(BPF_LD | BPF_MEM, 0));
      program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~0U << (32 - each.length)));
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, each.address.number(), 0, 1));
      program.push_back(BPF_STMT(BPF_RET | BPF_K, UINT32_MAX));
    }
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  constexpr std::size_t kLongest = 4096;  // BPF_MAXINSNS
  // Of so many CLATs each is told of all connections of the host.
  if (program.size() > kLongest) return {};
  return attach_filter(socket, program);
}

Result<Fd> hear_connections_of(const model::ShortcutSpec& spec) {
  auto socket = system::open_netlink(NETLINK_NETFILTER, SOCK_NONBLOCK);
  if (!socket) return socket;
  if (auto filtered = hear_only(*socket, spec); !filtered) return std::unexpected(std::move(filtered).error());
  if (::setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0) {
    (void)::setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  }
  // Not of new ones: they are assured later.
  if (auto joined = system::join_groups(*socket, {NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY}); !joined) {
    return std::unexpected(std::move(joined).error());
  }
  return socket;
}

Result<Fd> hear_routes_of_ipv4() {
  auto socket = system::open_netlink(NETLINK_ROUTE, SOCK_NONBLOCK);
  if (!socket) return socket;
  if (auto joined = system::join_groups(*socket, {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE}); !joined) {
    return std::unexpected(std::move(joined).error());
  }
  return socket;
}

}  // namespace

Result<std::unique_ptr<FlowWatch>> FlowWatch::open(loop::Loop& loop, model::ShortcutSpec spec, FlowTable table) {
  const std::string context = "watch connection tracking";
  table.drop_all();
  auto connections = hear_connections_of(spec);
  if (!connections) return std::unexpected(std::move(connections).error().in(context));
  auto routes = hear_routes_of_ipv4();
  if (!routes) return std::unexpected(std::move(routes).error().in(context));
  auto ask_connections = system::NetlinkSocket::open(NETLINK_NETFILTER);
  if (!ask_connections) return std::unexpected(std::move(ask_connections).error().in(context));
  auto ask_routes = system::NetlinkSocket::open();
  if (!ask_routes) return std::unexpected(std::move(ask_routes).error().in(context));
  std::unique_ptr<FlowWatch> opened(new FlowWatch(
      loop, std::move(spec), std::move(table),
      {std::move(*connections), std::move(*routes), std::move(*ask_connections), std::move(*ask_routes)}));
  if (auto watching = opened->watch(); !watching) return std::unexpected(std::move(watching).error().in(context));
  opened->read_all();
  return opened;
}

FlowWatch::FlowWatch(loop::Loop& loop, model::ShortcutSpec spec, FlowTable table, Sockets sockets)
    : loop_(loop),
      spec_(std::move(spec)),
      table_(std::move(table)),
      sockets_(std::move(sockets)),
      buffer_(kBuffer),
      next_reading_(loop, [this] { read_all(); }),
      next_answer_(loop, [this] { answer(); }) {}

FlowWatch::~FlowWatch() {
  table_.answer_until({});
  table_.drop_all();
}

Result<> FlowWatch::watch() {
  auto connections = loop_.watch(sockets_.connections.get(), [this](loop::Wake) { hear_connections(); });
  if (!connections) return std::unexpected(std::move(connections).error());
  connections_ = std::move(*connections);
  auto routes = loop_.watch(sockets_.routes.get(), [this](loop::Wake) { hear_routes(); });
  if (!routes) return std::unexpected(std::move(routes).error());
  routes_ = std::move(*routes);
  return {};
}

void FlowWatch::start_over() {
  table_.answer_until({});
  answers_ = false;
  next_answer_.stop();
  table_.drop_all();
  flows_.clear();
  dumping_.end();
  dump_ = Fd();
  next_reading_.start(kRest);
}

void FlowWatch::look_again() {
  if (!dump_) next_reading_.start(std::chrono::milliseconds(0));
}

std::size_t FlowWatch::flows(int uplink) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(flows_, [&](const auto& each) { return each.second.flow.uplink == uplink; }));
}

void FlowWatch::hear_connections() {
  for (std::size_t i = 0; i < kAtATime; ++i) {
    const auto datagram = system::receive_datagram(sockets_.connections, buffer_);
    if (!datagram && datagram.error() == EAGAIN) return;
    if (!datagram || datagram->truncated) {
      ++counts_.overruns;
      start_over();
      continue;
    }
    auto rest = datagram->bytes;
    while (const auto message = system::next_message(rest)) {
      if (const auto seen = system::parse_connection(*message)) take(*seen);
    }
  }
}

void FlowWatch::hear_routes() {
  bool changed = false;
  for (;;) {
    const auto datagram = system::receive_datagram(sockets_.routes, buffer_);
    if (!datagram && datagram.error() == EAGAIN) break;
    changed = true;
  }
  if (changed) start_over();
}

// In slices: the kernel fills a datagram each time that one is read.
void FlowWatch::read_all() {
  next_reading_.stop();
  dumping_.end();
  ++reading_;
  auto socket = system::open_netlink(NETLINK_NETFILTER, SOCK_NONBLOCK);
  if (!socket) {
    next_reading_.start(kRest);
    return;
  }
  dump_ = std::move(*socket);
  const auto sent = system::ask_for_connections(NLM_F_DUMP).send_on(dump_);
  auto watch = sent ? loop_.watch(dump_.get(), [this](loop::Wake) { take_reading(); }) : std::unexpected(sent.error());
  if (!watch) {
    dump_ = Fd();
    next_reading_.start(kRest);
    return;
  }
  dumping_ = std::move(*watch);
}

void FlowWatch::take_reading() {
  const auto datagram = system::receive_datagram(dump_, buffer_);
  if (!datagram && datagram.error() == EAGAIN) return;
  if (!datagram || datagram->truncated) return start_over();
  auto rest = datagram->bytes;
  while (const auto message = system::next_message(rest)) {
    if (const auto ack = system::parse_acknowledgement(*message)) {
      return ack->code == 0 ? end_reading() : start_over();
    }
    const auto seen = system::parse_connection(*message);
    if (!seen) continue;
    if (const auto known = flows_.find(seen->connection.reply); known != flows_.end()) known->second.reading = reading_;
    take(*seen);
  }
}

// Flows that it did not see ended without a word: the kernel tells of the end only of those that began while somebody
// listened.
void FlowWatch::end_reading() {
  dumping_.end();
  dump_ = Fd();
  std::vector<system::FlowTuple> gone;
  for (const auto& [reply, flow] : flows_) {
    if (flow.reading != reading_) gone.push_back(reply);
  }
  std::ranges::for_each(gone, [this](const auto& reply) { take_out(reply); });
}

void FlowWatch::take(const system::ConnectionSeen& seen) {
  const auto& connection = seen.connection;
  const bool fits = !seen.gone && system::may_be_shortcut_for(spec_, connection) != nullptr;
  const bool known = flows_.contains(connection.reply);
  if (known && !fits) take_out(connection.reply);
  if (!known && fits) take_in(connection.original);
}

// What was told of it may be of a moment ago, and is not all.
void FlowWatch::take_in(const system::FlowTuple& original) {
  std::optional<system::Connection> connection;
  const auto asked =
      sockets_.ask_connections.exchange(system::ask_for_connection(original), [&](const system::Message& message) {
        if (const auto seen = system::parse_connection(message)) connection = seen->connection;
      });
  const auto* clat = asked && connection ? system::shortcut_for(spec_, *connection) : nullptr;
  if (clat == nullptr) return;
  if (const auto admitted = admit(*clat, *connection); !admitted) ++counts_.refused;
}

void FlowWatch::take_out(const system::FlowTuple& reply) {
  const auto flow = flows_.find(reply);
  if (flow == flows_.end()) return;
  table_.drop(flow->second.flow);
  flows_.erase(flow);
}

Result<> FlowWatch::admit(const model::ShortcutSpec::Clat& clat, const system::Connection& connection) {
  const auto& [original, reply] = std::pair(connection.original, connection.reply);
  std::optional<system::LanRoute> route;
  const auto asked = sockets_.ask_routes.exchange(
      system::ask_way_to_lan(clat.tun, original.destination, original.source), [&](const system::Message& message) {
        if (!route) route = system::parse_lan_route(message, original.source);
      });
  if (!asked || !route) return {};
  const auto lan = std::ranges::find(spec_.lans, route->device, &model::ShortcutSpec::Lan::ifindex);
  if (lan == spec_.lans.end()) return {};
  if (flows_.size() >= kMostFlows) return failure("too many flows", ENOSPC);
  if (original.protocol == IPPROTO_TCP) {
    if (auto liberal = sockets_.ask_connections.exchange(system::be_liberal_to(original)); !liberal) return liberal;
  }
  const bpf::ShortcutFlow flow{.lan = lan->ifindex,
                               .uplink = clat.uplink,
                               .tun = clat.tun,
                               .protocol = original.protocol,
                               .host = original.source,
                               .own = reply.destination,
                               .peer = original.destination,
                               .host_port = original.source_port,
                               .own_port = reply.destination_port,
                               .peer_port = original.destination_port,
                               .next_hop = route->next_hop,
                               .lan_mtu = lan->mtu};
  if (auto put = table_.put(flow); !put) return put;
  flows_.insert_or_assign(reply, Flow{flow, reading_});
  if (!answers_) answer();
  return {};
}

// With no flows there is nothing to answer for, and nothing to wake up for.
void FlowWatch::answer() {
  answers_ = !flows_.empty();
  if (!answers_) return;
  table_.answer_until(std::chrono::steady_clock::now() + kAnswer);
  next_answer_.start(kBeat);
}

}  // namespace clat::sources
