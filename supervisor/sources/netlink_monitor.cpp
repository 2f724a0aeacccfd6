#include "supervisor/sources/netlink_monitor.hpp"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>

#include "core/base/socket_filter.hpp"
#include "supervisor/sources/loads.hpp"
#include "supervisor/system/rtnl_parse.hpp"
#include "supervisor/system/traffic_control.hpp"

namespace clat::sources {

using system::Message;
using system::NetlinkSocket;
using system::parse_event;
using system::Request;

namespace {

// A link with hundreds of virtual functions fills some ten thousand bytes.
constexpr std::size_t kDatagram = 128 * 1024;

// Links without their statistics, which would be most of the answer.
Request link_dump() {
  Request request(RTM_GETLINK, 0, ifinfomsg{});
  request.put(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
  return request;
}

// Of the IPv4 routes only defaults get through: a router with a full table has thousands of others that come and go.
// Notifications of routes are one message each.
Result<> keep_ipv4_routes_out(const Fd& socket) {
  // What is loaded comes in network byte order, while the message has the host's.
  const std::uint32_t new_route = htons(RTM_NEWROUTE);
  const std::uint32_t gone_route = htons(RTM_DELROUTE);
  const std::array<sock_filter, 9> program{{
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at(offsetof(nlmsghdr, nlmsg_type))),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, new_route, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, gone_route, 0, 4),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at(NLMSG_HDRLEN + offsetof(rtmsg, rtm_family))),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 0, 2),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at(NLMSG_HDRLEN + offsetof(rtmsg, rtm_dst_len))),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  return in_context(attach_filter(socket, program), "filter the netlink monitor");
}

}  // namespace

NetlinkMonitor::NetlinkMonitor(Fd fd, NetlinkSocket requests)
    : fd_(std::move(fd)), requests_(std::move(requests)), buffer_(kDatagram) {}

Result<NetlinkMonitor> NetlinkMonitor::open(std::size_t receive_buffer) {
  auto opened = system::open_netlink(NETLINK_ROUTE, SOCK_NONBLOCK);
  if (!opened) return std::unexpected(std::move(opened).error().in("netlink monitor"));
  Fd fd = *std::move(opened);
  const int bytes = static_cast<int>(std::min<std::size_t>(receive_buffer, INT_MAX / 2));
  // FORCE goes past net.core.rmem_max, with CAP_NET_ADMIN.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0) {
    return failure("size the buffer of the netlink monitor", errno);
  }
  if (auto filtered = keep_ipv4_routes_out(fd); !filtered) return std::unexpected(std::move(filtered).error());
  auto joined = system::join_groups(fd, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_IFINFO,
                                         RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE, RTNLGRP_TC});
  if (!joined) return std::unexpected(std::move(joined).error());
  auto requests = NetlinkSocket::open();
  if (!requests) return std::unexpected(requests.error());
  return NetlinkMonitor(std::move(fd), std::move(*requests));
}

Result<NetlinkMonitor::Drained> NetlinkMonitor::read(const EventSink& sink) {
  Drained drained = Drained::all;
  Hints hints;
  for (;;) {
    const auto datagram = system::receive_datagram(fd_, buffer_);
    if (!datagram) {
      if (datagram.error() == EAGAIN) break;
      if (datagram.error() != ENOBUFS) return failure("read netlink notifications", datagram.error());
      drained = Drained::overrun;
      continue;
    }
    // A notification too long to be read whole is one that was lost.
    if (datagram->truncated) drained = Drained::overrun;
    deliver(datagram->bytes, sink, hints);
  }
  if (hints.ipv6_routes) sink(model::Ipv6RoutesChanged{});
  for (const std::uint32_t metric : hints.ipv4_defaults) sink(model::Ipv4DefaultRouteChanged{metric});
  for (const int ifindex : hints.traffic_control) {
    auto ingress = system::read_ingress(requests_, ifindex);
    sink(model::TrafficControlChanged{ifindex, ingress ? std::optional(*std::move(ingress)) : std::nullopt});
  }
  return drained;
}

void NetlinkMonitor::deliver(system::Bytes datagram, const EventSink& sink, Hints& hints) {
  while (const auto message = system::next_message(datagram)) {
    auto event = parse_event(*message);
    if (!event) continue;
    if (const auto* changed = std::get_if<model::TrafficControlChanged>(&*event)) {
      hints.traffic_control.insert(changed->ifindex);
    } else if (std::holds_alternative<model::Ipv6RoutesChanged>(*event)) {
      hints.ipv6_routes = true;
    } else if (const auto* route = std::get_if<model::Ipv4DefaultRouteChanged>(&*event)) {
      hints.ipv4_defaults.insert(route->metric);
    } else {
      sink(settled(std::move(*event), *message));
    }
  }
}

// A rising link MTU is announced before IPv6 follows it, and not again afterwards: so where IPv6 has the smaller MTU,
// ask how it is now. No answer (the link is gone already) leaves the event as it came.
model::Event NetlinkMonitor::settled(model::Event event, const Message& message) {
  if (!std::holds_alternative<model::LinkSeen>(event)) return event;
  const auto told = system::parse_link(message.payload);
  if (!told || !told->ipv6_mtu || *told->ipv6_mtu >= told->link.link_mtu) return event;

  ifinfomsg header{};
  header.ifi_index = told->link.ifindex;
  Request request(RTM_GETLINK, 0, header);
  request.put(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
  (void)requests_.exchange(request, [&](const Message& answer) {
    if (auto now = parse_event(answer); now && std::holds_alternative<model::LinkSeen>(*now)) event = std::move(*now);
  });
  return event;
}

Result<NetlinkMonitor::Dumped> NetlinkMonitor::dump() {
  Dumped dumped;
  auto& [kernel, tuns] = dumped;
  const auto forget_links = [&] {
    kernel.links = {};
    tuns.clear();
  };
  const auto add_link = [&](const Message& message) {
    auto link = message.type == RTM_NEWLINK ? system::parse_link(message.payload) : std::nullopt;
    if (!link) return;
    kernel.links.put(link->link);
    if (link->kind == system::kTunKind) tuns.push_back(std::move(*link));
  };
  if (auto links = requests_.dump(link_dump(), forget_links, add_link); !links) {
    return std::unexpected(std::move(links.error()).in("dump links"));
  }
  const auto forget_addresses = [&] {
    kernel.ipv4 = {};
    kernel.ipv6 = {};
  };
  const auto add_address = [&](const Message& message) {
    if (const auto event = parse_event(message)) system::add_to(kernel, *event);
  };
  if (auto addresses = requests_.dump(Request(RTM_GETADDR, 0, ifaddrmsg{}), forget_addresses, add_address);
      !addresses) {
    return std::unexpected(std::move(addresses.error()).in("dump addresses"));
  }
  const auto filtered = system::filtered_devices(requests_);
  if (!filtered) return std::unexpected(filtered.error());
  for (const int ifindex : *filtered) {
    auto ingress = system::read_ingress(requests_, ifindex);
    if (!ingress) return std::unexpected(std::move(ingress).error());
    kernel.put(ifindex, *std::move(ingress));
  }
  return dumped;
}

}  // namespace clat::sources
