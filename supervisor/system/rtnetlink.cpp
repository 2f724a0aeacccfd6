#include "supervisor/system/rtnetlink.hpp"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

namespace clat::system {

namespace {

// Since Linux 6.3; Debian 12's headers are older.
constexpr std::uint16_t kGsoIpv4MaxSize = 63;
constexpr std::uint16_t kGroIpv4MaxSize = 64;

// The uplink's packets, which are larger than the tun's MTU by what translation takes off, must be forwarded into the
// tun all the same: a locked route MTU, here the largest there is, goes before the device's.
constexpr std::uint32_t kRouteMtu = 65520;

std::string on(int ifindex) { return " on ifindex " + std::to_string(ifindex); }

std::string text(const HostRoute& route) {
  const std::string destination = "route " + route.destination.text() + "/" + std::to_string(route.length);
  return route.device == 0 ? "blackhole " + destination : destination + on(route.device);
}

std::string text(const DefaultRoute& route) {
  return "default route of metric " + std::to_string(route.metric) + on(route.device);
}

bool means_gone(const Error& error) {
  return error.code == ENOENT || error.code == ESRCH || error.code == ENODEV || error.code == EADDRNOTAVAIL ||
         error.code == ENXIO;
}

Result<> gone(Result<> result, const std::string& context) {
  if (!result && means_gone(result.error())) return {};
  return in_context(std::move(result), context);
}

template <class Value>
bool contains(const std::vector<Value>& values, const Value& value) {
  return std::ranges::find(values, value) != values.end();
}

Request address_request(std::uint16_t type, std::uint16_t flags, int ifindex, const Ipv4Address& address) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = 32;
  header.ifa_index = static_cast<std::uint32_t>(ifindex);
  header.ifa_scope = RT_SCOPE_UNIVERSE;
  Request request(type, flags, header);
  request.put(IFA_LOCAL, address.bytes);
  request.put(IFA_ADDRESS, address.bytes);
  return request;
}

Request route_request(std::uint16_t type, std::uint16_t flags, const HostRoute& route) {
  rtmsg header{};
  header.rtm_family = AF_INET6;
  header.rtm_dst_len = static_cast<unsigned char>(route.length);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kRouteProtocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = route.device == 0 ? RTN_BLACKHOLE : RTN_UNICAST;
  Request request(type, flags, header);
  request.put(RTA_DST, route.destination.bytes);
  request.put(RTA_PRIORITY, route.metric);
  if (route.device == 0) return request;
  request.put(RTA_OIF, route.device);
  if (type == RTM_NEWROUTE) {
    request.nest(RTA_METRICS, [&] {
      request.put(RTAX_LOCK, std::uint32_t{1} << RTAX_MTU);
      request.put(RTAX_MTU, kRouteMtu);
    });
  }
  return request;
}

Request route_request(std::uint16_t type, std::uint16_t flags, const DefaultRoute& route) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kRouteProtocol;
  header.rtm_scope = RT_SCOPE_LINK;  // no gateway
  header.rtm_type = RTN_UNICAST;
  Request request(type, flags, header);
  request.put(RTA_OIF, route.device);
  request.put(RTA_PRIORITY, route.metric);
  request.put(RTA_PREFSRC, route.source.bytes);
  return request;
}

// The kernel walks its table but hands over only ours (strict checking).
Request route_dump(std::uint8_t family) {
  rtmsg header{};
  header.rtm_family = family;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kRouteProtocol;
  return Request(RTM_GETROUTE, 0, header);
}

Request proxy_request(std::uint16_t type, std::uint16_t flags, int ifindex, const Ipv6Address& address) {
  ndmsg header{};
  header.ndm_family = AF_INET6;
  header.ndm_ifindex = ifindex;
  // Newer kernels then keep the entry when the carrier goes; older ones ignore the state of a proxy entry.
  header.ndm_state = NUD_PERMANENT;
  header.ndm_flags = NTF_PROXY;
  Request request(type, flags, header);
  request.put(NDA_DST, address.bytes);
  if (type == RTM_NEWNEIGH) request.put(NDA_PROTOCOL, kRouteProtocol);
  return request;
}

template <class Value, class Parse>
Result<std::vector<Value>> collect(NetlinkSocket& socket, const Request& request, Parse parse,
                                   const std::string& context) {
  std::vector<Value> values;
  auto dumped = socket.dump(
      request, [&] { values.clear(); },
      [&](const Message& message) {
        if (auto value = parse(message)) values.push_back(*value);
      });
  // ENOENT: nobody has put a route into that table yet.
  if (!dumped && !means_gone(dumped.error())) return std::unexpected(std::move(dumped.error()).in(context));
  return values;
}

// `result` of adding `route`: EEXIST is no error when exactly it is among `ours`.
template <class Route>
Result<> unless_there(Result<> result, const Route& route, const Result<std::vector<Route>>& ours) {
  if (ours && contains(*ours, route)) return {};
  return in_context(std::move(result), "add " + text(route));
}

}  // namespace

Result<RtNetlink> RtNetlink::open() {
  auto socket = NetlinkSocket::open();
  if (!socket) return std::unexpected(socket.error());
  return RtNetlink(std::move(*socket));
}

Result<std::optional<LinkMessage>> RtNetlink::get_link(Request request) {
  request.put(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
  std::optional<LinkMessage> found;
  const auto asked = socket_.exchange(std::move(request), [&](const Message& message) {
    if (message.type == RTM_NEWLINK) found = parse_link(message.payload);
  });
  if (!asked && !means_gone(asked.error())) return std::unexpected(asked.error());
  return found;
}

Result<std::optional<LinkMessage>> RtNetlink::link(int ifindex) {
  if (ifindex <= 0) return std::nullopt;
  ifinfomsg header{};
  header.ifi_index = ifindex;
  auto found = get_link(Request(RTM_GETLINK, 0, header));
  if (!found) return std::unexpected(std::move(found.error()).in("look up ifindex " + std::to_string(ifindex)));
  return found;
}

Result<std::optional<LinkMessage>> RtNetlink::link(const std::string& name) {
  Request request(RTM_GETLINK, 0, ifinfomsg{});
  request.put(IFLA_IFNAME, name);
  auto found = get_link(std::move(request));
  if (!found) return std::unexpected(std::move(found.error()).in("look up " + name));
  return found;
}

Result<std::vector<LinkMessage>> RtNetlink::tuns() {
  Request request(RTM_GETLINK, 0, ifinfomsg{});
  request.put(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
  request.nest(IFLA_LINKINFO, [&] { request.put(IFLA_INFO_KIND, kTunKind); });
  // A kernel that does not know the filter lists all links.
  const auto parse = [&](const Message& message) {
    auto link = parse_link(message.payload);
    return link && link->kind == kTunKind ? std::move(link) : std::nullopt;
  };
  return collect<LinkMessage>(socket_, request, parse, "list the tuns");
}

Result<std::uint64_t> RtNetlink::packets_sent(int ifindex) {
  ifinfomsg header{};
  header.ifi_index = ifindex;
  std::optional<rtnl_link_stats64> statistics;
  const auto asked = socket_.exchange(Request(RTM_GETLINK, 0, header), [&](const Message& message) {
    if (message.type != RTM_NEWLINK) return;
    statistics = find_as<rtnl_link_stats64>(attributes_after<ifinfomsg>(message.payload), IFLA_STATS64);
  });
  if (!asked) return std::unexpected(asked.error().in("read the counters" + on(ifindex)));
  if (!statistics) return failure("no counters" + on(ifindex), ENODATA);
  return statistics->tx_packets;
}

Result<> RtNetlink::change_link(int ifindex, const LinkChange& change) {
  ifinfomsg header{};
  header.ifi_index = ifindex;
  if (change.up) {
    header.ifi_change = IFF_UP;
    header.ifi_flags = *change.up ? IFF_UP : 0;
  }
  Request request(RTM_SETLINK, 0, header);
  if (change.mtu) request.put(IFLA_MTU, *change.mtu);
  if (change.alias) request.put(IFLA_IFALIAS, *change.alias);
  if (change.offload_limit) {
    for (const std::uint16_t limit :
         {std::uint16_t{IFLA_GSO_MAX_SIZE}, std::uint16_t{IFLA_GRO_MAX_SIZE}, kGsoIpv4MaxSize, kGroIpv4MaxSize}) {
      request.put(limit, *change.offload_limit);
    }
  }
  if (change.no_ipv6_addresses) {
    request.nest(IFLA_AF_SPEC, [&] {
      request.nest(AF_INET6, [&] { request.put(IFLA_INET6_ADDR_GEN_MODE, std::uint8_t{IN6_ADDR_GEN_MODE_NONE}); });
    });
  }
  return in_context(socket_.exchange(std::move(request)), "change link" + on(ifindex));
}

Result<> RtNetlink::delete_link(int ifindex) {
  ifinfomsg header{};
  header.ifi_index = ifindex;
  return gone(socket_.exchange(Request(RTM_DELLINK, 0, header)), "delete link" + on(ifindex));
}

Result<> RtNetlink::add_address(int ifindex, const Ipv4Address& address) {
  return in_context(socket_.exchange(address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, address)),
                    "add address " + address.text() + on(ifindex));
}

Result<> RtNetlink::delete_address(int ifindex, const Ipv4Address& address) {
  return gone(socket_.exchange(address_request(RTM_DELADDR, 0, ifindex, address)),
              "delete address " + address.text() + on(ifindex));
}

Result<> RtNetlink::delete_address(int ifindex, const model::Ipv6OnLink& address) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_prefixlen = address.length;
  header.ifa_index = static_cast<std::uint32_t>(ifindex);
  Request request(RTM_DELADDR, 0, header);
  request.put(IFA_LOCAL, address.address.bytes);
  return gone(socket_.exchange(std::move(request)), "delete address " + address.address.text() + on(ifindex));
}

Result<RtNetlink::Addresses> RtNetlink::addresses(int ifindex) {
  ifaddrmsg header{};
  header.ifa_index = static_cast<std::uint32_t>(ifindex);
  model::Kernel kernel;
  auto dumped = socket_.dump(
      Request(RTM_GETADDR, 0, header), [&] { kernel = {}; },
      [&](const Message& message) {
        if (const auto event = parse_event(message)) add_to(kernel, *event);
      });
  if (!dumped && !means_gone(dumped.error())) {
    return std::unexpected(std::move(dumped.error()).in("dump addresses" + on(ifindex)));
  }
  const auto ipv4 = kernel.ipv4.of(ifindex);
  const auto ipv6 = kernel.ipv6.of(ifindex);
  Addresses addresses{.ipv4 = {}, .ipv6 = {ipv6.begin(), ipv6.end()}};
  std::ranges::transform(ipv4, std::back_inserter(addresses.ipv4), &model::Ipv4OnLink::address);
  return addresses;
}

Result<> RtNetlink::add_route(const HostRoute& route) {
  auto added = socket_.exchange(route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route));
  if (!added && added.error().code == EEXIST) return unless_there(std::move(added), route, host_routes());
  return in_context(std::move(added), "add " + text(route));
}

Result<> RtNetlink::delete_route(const HostRoute& route) {
  return gone(socket_.exchange(route_request(RTM_DELROUTE, 0, route)), "delete " + text(route));
}

Result<std::vector<HostRoute>> RtNetlink::host_routes() {
  return collect<HostRoute>(socket_, route_dump(AF_INET6), parse_host_route, "dump IPv6 routes");
}

Result<> RtNetlink::add_route(const DefaultRoute& route) {
  auto added = socket_.exchange(route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route));
  if (!added && added.error().code == EEXIST) return unless_there(std::move(added), route, default_routes());
  return in_context(std::move(added), "add " + text(route));
}

Result<> RtNetlink::delete_route(const DefaultRoute& route) {
  return gone(socket_.exchange(route_request(RTM_DELROUTE, 0, route)), "delete " + text(route));
}

Result<std::vector<DefaultRoute>> RtNetlink::default_routes() {
  return collect<DefaultRoute>(socket_, route_dump(AF_INET), parse_default_route, "dump IPv4 routes");
}

Result<model::Route> RtNetlink::way_to(const model::WayTo& question) {
  Result<Way> way = failure("", ENETUNREACH);
  const auto is_final = [&] {
    if (way) return true;
    // An operator's word: a rule or route forbids it (prohibit, blackhole).
    return way.error().code == EACCES || way.error().code == EINVAL;
  };
  for (const auto& source : question.sources) {
    way = way_from(source, question);
    if (is_final()) break;
  }
  if (!is_final()) way = way_from(std::nullopt, question);
  if (way) {
    const bool dead = way->route.next_hop && contains(question.dead, *way->route.next_hop);
    return dead ? way_around(question, *way).value_or(way->route) : way->route;
  }
  return std::unexpected(
      Error(way.error()).in("look up the way to " + question.destination.text() + on(question.ifindex)));
}

// One address stands for the Internet, a root name server's: nobody has a route of its own for it. The route that is
// matched is asked for; a look-up alone would take any address for a neighbour where there is none.
bool RtNetlink::routes_ipv4(int ifindex) {
  constexpr Ipv4Address kRootServer{{198, 41, 0, 4}};
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 32;
  header.rtm_flags = RTM_F_FIB_MATCH;
  Request request(RTM_GETROUTE, 0, header);
  request.put(RTA_DST, kRootServer.bytes);
  request.put(RTA_OIF, ifindex);
  bool found = false;
  const auto asked = socket_.exchange(
      std::move(request), [&](const Message& message) { found = found || is_ipv4_way_by(message, ifindex); });
  return asked && found;
}

// With a source the kernel does not keep to the device that it is asked for: another may be on the way.
Result<Way> RtNetlink::way_from(const std::optional<Ipv6Address>& source, const model::WayTo& question) {
  rtmsg header{};
  header.rtm_family = AF_INET6;
  header.rtm_dst_len = 128;
  if (source) header.rtm_src_len = 128;
  Request request(RTM_GETROUTE, 0, header);
  request.put(RTA_DST, question.destination.bytes);
  if (source) request.put(RTA_SRC, source->bytes);
  request.put(RTA_OIF, question.ifindex);
  if (question.mark != 0) request.put(RTA_MARK, question.mark);
  std::optional<Way> way;
  const auto asked = socket_.exchange(std::move(request), [&](const Message& message) { way = parse_way(message); });
  if (!asked) return std::unexpected(asked.error());
  if (!way || way->device != question.ifindex) return failure("", ENETUNREACH);
  return *way;
}

// As the kernel would choose, had it not the one that is dead: by destination, source, metric and preference.
std::optional<model::Route> RtNetlink::way_around(const model::WayTo& question, const Way& dead) {
  std::optional<WayByRouter> best;
  const auto rank = [](const WayByRouter& each) {
    return std::tuple(128 - each.destination.length, 128 - each.source.length, each.metric, -each.preference);
  };
  const auto look_at = [&](const WayByRouter& each) {
    const bool fits = each.way.device == question.ifindex && each.way.table == dead.table &&
                      each.destination.contains(question.destination) &&
                      !contains(question.dead, *each.way.route.next_hop);
    const bool from_us = each.source.length == 0 || std::ranges::any_of(question.sources, [&](const auto& own) {
                           return each.source.contains(own);
                         });
    if (fits && from_us && (!best || rank(each) < rank(*best))) best = each;
  };
  rtmsg header{};
  header.rtm_family = AF_INET6;
  Request request(RTM_GETROUTE, 0, header);
  request.put(RTA_OIF, question.ifindex);
  request.put(RTA_TABLE, dead.table);
  const auto dumped = socket_.dump(
      request, [&] { best.reset(); },
      [&](const Message& message) { std::ranges::for_each(parse_ways_by_routers(message), look_at); });
  if (!dumped || !best) return std::nullopt;
  return best->way.route;
}

Result<> RtNetlink::ask_neighbour(int ifindex, const Ipv6Address& address) {
  ndmsg header{};
  header.ndm_family = AF_INET6;
  header.ndm_ifindex = ifindex;
  header.ndm_flags = NTF_USE;
  Request request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, header);
  request.put(NDA_DST, address.bytes);
  return in_context(socket_.exchange(std::move(request)), "ask for neighbour " + address.text() + on(ifindex));
}

Result<> RtNetlink::add_proxy(int ifindex, const Ipv6Address& address) {
  const auto present = proxies();
  if (!present) return std::unexpected(present.error());
  const auto same = [&](const ProxyNeighbour& proxy) { return proxy.device == ifindex && proxy.address == address; };
  if (std::ranges::any_of(*present, same)) return {};
  return in_context(socket_.exchange(proxy_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, ifindex, address)),
                    "add proxy neighbour " + address.text() + on(ifindex));
}

Result<> RtNetlink::delete_proxy(int ifindex, const Ipv6Address& address) {
  const auto present = proxies();
  if (!present) return std::unexpected(present.error());
  if (!contains(*present, {.device = ifindex, .address = address, .protocol = kRouteProtocol})) return {};
  return gone(socket_.exchange(proxy_request(RTM_DELNEIGH, 0, ifindex, address)),
              "delete proxy neighbour " + address.text() + on(ifindex));
}

Result<std::vector<ProxyNeighbour>> RtNetlink::proxies() {
  ndmsg header{};
  header.ndm_family = AF_INET6;
  header.ndm_flags = NTF_PROXY;
  return collect<ProxyNeighbour>(socket_, Request(RTM_GETNEIGH, 0, header), parse_proxy_neighbour,
                                 "dump proxy neighbours");
}

}  // namespace clat::system
