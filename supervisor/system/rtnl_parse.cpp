#include "supervisor/system/rtnl_parse.hpp"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <variant>
#include <vector>

#include "core/net/prefix.hpp"
namespace clat::system {

namespace {

// Since Linux 6.3; Debian 12's headers are older.
constexpr std::uint16_t kGsoIpv4MaxSize = 63;
constexpr std::uint16_t kGroIpv4MaxSize = 64;

constexpr std::size_t kLongestKind = 32;
constexpr std::size_t kLongestAltname = ALTIFNAMSIZ - 1;
constexpr std::string_view kIfbKind = "ifb";

LinkLayer layer_of(std::uint16_t type) {
  if (type == ARPHRD_ETHER) return LinkLayer::ethernet;
  if (type == ARPHRD_NONE || type == ARPHRD_PPP || type == ARPHRD_RAWIP) return LinkLayer::raw_ip;
  return LinkLayer::other;
}

std::optional<std::uint32_t> mtu_in_inet6(Bytes inet6) {
  const auto conf = find_attribute(inet6, IFLA_INET6_CONF);
  constexpr std::size_t at = DEVCONF_MTU6 * sizeof(std::uint32_t);
  if (!conf || conf->size() < at) return std::nullopt;
  return read_as<std::uint32_t>(conf->subspan(at));
}

// AF_UNSPEC's message has it in IFLA_AF_SPEC, AF_INET6's in IFLA_PROTINFO.
std::optional<std::uint32_t> ipv6_mtu_of(Bytes attributes) {
  if (const auto families = find_attribute(attributes, IFLA_AF_SPEC)) {
    if (const auto inet6 = find_attribute(*families, AF_INET6)) return mtu_in_inet6(*inet6);
  }
  if (const auto info = find_attribute(attributes, IFLA_PROTINFO)) return mtu_in_inet6(*info);
  return std::nullopt;
}

std::vector<std::string> altnames_of(Bytes attributes) {
  std::vector<std::string> names;
  auto list = find_attribute(attributes, IFLA_PROP_LIST).value_or(Bytes{});
  while (const auto each = next_attribute(list)) {
    if (each->type != IFLA_ALT_IFNAME) continue;
    if (auto name = read_text(each->payload, kLongestAltname); name && !name->empty())
      names.push_back(*std::move(name));
  }
  return names;
}

template <class Address>
std::optional<Address> address_in(Bytes attributes, std::uint16_t type) {
  const auto bytes = find_attribute(attributes, type);
  Address address;
  if (!bytes || bytes->size() != address.bytes.size()) return std::nullopt;
  std::ranges::copy(*bytes, address.bytes.begin());
  return address;
}

// With a peer (ip address add A peer B) IFA_ADDRESS is the peer's, IFA_LOCAL our own; else one of them may be missing.
template <class Address>
std::optional<Address> own_address(Bytes attributes) {
  const auto local = address_in<Address>(attributes, IFA_LOCAL);
  return local ? local : address_in<Address>(attributes, IFA_ADDRESS);
}

// IFA_ADDRESS is the other end's, on a point-to-point link.
Ipv4Prefix subnet_of(const Ipv4Address& own, const ifaddrmsg& header, Bytes attributes) {
  if (header.ifa_prefixlen == 0) return {own, 32};
  return Ipv4Prefix{address_in<Ipv4Address>(attributes, IFA_ADDRESS).value_or(own), header.ifa_prefixlen}.masked();
}

std::optional<model::Event> parse_address(const Message& message) {
  const auto header = read_as<ifaddrmsg>(message.payload);
  if (!header || static_cast<int>(header->ifa_index) <= 0) return std::nullopt;
  const int ifindex = static_cast<int>(header->ifa_index);
  const Bytes attributes = attributes_after<ifaddrmsg>(message.payload);
  const bool seen = message.type == RTM_NEWADDR;

  if (header->ifa_family == AF_INET) {
    const auto address = own_address<Ipv4Address>(attributes);
    if (!address || header->ifa_prefixlen > 32) return std::nullopt;
    if (!seen) return model::Ipv4Gone{ifindex, *address};
    return model::Ipv4Seen{ifindex, {*address, subnet_of(*address, *header, attributes)}};
  }
  if (header->ifa_family != AF_INET6) return std::nullopt;
  const auto address = own_address<Ipv6Address>(attributes);
  if (!address || header->ifa_prefixlen > 128) return std::nullopt;
  if (!seen) return model::Ipv6Gone{ifindex, *address};

  // IFA_FLAGS has 32 bits, the header's field only the lower eight.
  const std::uint32_t flags = find_as<std::uint32_t>(attributes, IFA_FLAGS).value_or(header->ifa_flags);
  const bool pending = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;  // RFC 4429
  const bool usable = header->ifa_scope == RT_SCOPE_UNIVERSE && !pending && (flags & IFA_F_DADFAILED) == 0;
  return model::Ipv6Seen{ifindex, model::Ipv6OnLink{.address = *address,
                                                    .length = header->ifa_prefixlen,
                                                    .usable = usable,
                                                    .deprecated = (flags & IFA_F_DEPRECATED) != 0,
                                                    .temporary = (flags & IFA_F_TEMPORARY) != 0}};
}

std::optional<model::Event> parse_link_event(const Message& message) {
  const auto header = read_as<ifinfomsg>(message.payload);
  if (!header) return std::nullopt;
  if (message.type == RTM_DELLINK) {
    // AF_BRIDGE: it left a bridge. AF_INET6: it lost its IPv6. Only AF_UNSPEC means that it is gone.
    if (header->ifi_family != AF_UNSPEC || header->ifi_index <= 0) return std::nullopt;
    return model::LinkGone{header->ifi_index};
  }
  auto link = parse_link(message.payload);
  if (!link) return std::nullopt;
  // What IPv6 says of a link leaves them out.
  return model::LinkSeen{std::move(link->link), header->ifi_family == AF_UNSPEC};
}

std::optional<model::Event> parse_traffic_control(Bytes payload) {
  const auto header = read_as<tcmsg>(payload);
  // A negative index (TCM_IFINDEX_MAGIC_BLOCK) is a block shared by several devices.
  if (!header || header->tcm_ifindex <= 0) return std::nullopt;
  return model::TrafficControlChanged{.ifindex = header->tcm_ifindex};
}

// A route of ours in table main; the caller looks at family and destination.
std::optional<rtmsg> own_route(const Message& message) {
  if (message.type != RTM_NEWROUTE) return std::nullopt;
  const auto route = read_as<rtmsg>(message.payload);
  if (!route || route->rtm_protocol != kRouteProtocol || route->rtm_table != RT_TABLE_MAIN) return std::nullopt;
  return route;
}

// Ours that comes is no news.
std::optional<model::Event> parse_ipv4_default(const Message& message, const rtmsg& header) {
  const bool ours_comes = message.type == RTM_NEWROUTE && header.rtm_protocol == kRouteProtocol;
  if (header.rtm_dst_len != 0 || header.rtm_table != RT_TABLE_MAIN || ours_comes) return std::nullopt;
  const auto metric = find_as<std::uint32_t>(attributes_after<rtmsg>(message.payload), RTA_PRIORITY);
  return model::Ipv4DefaultRouteChanged{metric.value_or(0)};
}

std::optional<model::Event> parse_route_change(const Message& message) {
  const auto header = read_as<rtmsg>(message.payload);
  if (header && header->rtm_family == AF_INET) return parse_ipv4_default(message, *header);
  if (!header || header->rtm_family != AF_INET6 || (header->rtm_flags & RTM_F_CLONED) != 0 ||
      header->rtm_protocol == kRouteProtocol || header->rtm_table == RT_TABLE_LOCAL) {
    return std::nullopt;
  }
  return model::Ipv6RoutesChanged{};
}

// Another rule may lead to other routes.
std::optional<model::Event> parse_rule_change(Bytes payload) {
  const auto header = read_as<fib_rule_hdr>(payload);
  if (!header || header->family != AF_INET6) return std::nullopt;
  return model::Ipv6RoutesChanged{};
}

}  // namespace

std::optional<LinkMessage> parse_link(Bytes payload) {
  const auto header = read_as<ifinfomsg>(payload);
  if (!header || header->ifi_index <= 0) return std::nullopt;
  if (header->ifi_family != AF_UNSPEC && header->ifi_family != AF_INET6) return std::nullopt;

  const Bytes attributes = attributes_after<ifinfomsg>(payload);
  const auto name = find_attribute(attributes, IFLA_IFNAME);
  const auto mtu = find_as<std::uint32_t>(attributes, IFLA_MTU);
  if (!name || !mtu) return std::nullopt;
  auto name_text = read_text(*name, IFNAMSIZ - 1);
  if (!name_text || name_text->empty()) return std::nullopt;

  LinkMessage message;
  message.ipv6_mtu = ipv6_mtu_of(attributes);
  message.link = {.ifindex = header->ifi_index,
                  .name = std::move(*name_text),
                  .up = (header->ifi_flags & IFF_UP) != 0,
                  .carrier = (header->ifi_flags & IFF_LOWER_UP) != 0,
                  .mtu = std::min(*mtu, message.ipv6_mtu.value_or(*mtu)),
                  .layer = layer_of(header->ifi_type),
                  .mac = {},
                  .link_mtu = *mtu,
                  .altnames = altnames_of(attributes)};
  if (message.link.layer == LinkLayer::ethernet) {
    message.link.mac = address_in<MacAddress>(attributes, IFLA_ADDRESS).value_or(MacAddress{});
  }
  message.carrier = find_as<std::uint8_t>(attributes, IFLA_CARRIER).value_or(0) != 0;
  if (const auto alias = find_attribute(attributes, IFLA_IFALIAS)) {
    message.alias = read_text(*alias, IFALIASZ).value_or("");
  }
  if (const auto info = find_attribute(attributes, IFLA_LINKINFO)) {
    if (const auto kind = find_attribute(*info, IFLA_INFO_KIND)) {
      message.kind = read_text(*kind, kLongestKind).value_or("");
      message.link.is_ifb = message.kind == kIfbKind;
    }
    const auto data = find_attribute(*info, IFLA_INFO_DATA);
    if (data && message.kind == kTunKind) {
      message.tun_queues = find_as<std::uint32_t>(*data, IFLA_TUN_NUM_QUEUES).value_or(0);
    }
  }
  for (const std::uint16_t limit :
       {std::uint16_t{IFLA_GSO_MAX_SIZE}, std::uint16_t{IFLA_GRO_MAX_SIZE}, kGsoIpv4MaxSize, kGroIpv4MaxSize}) {
    const std::uint32_t bytes = find_as<std::uint32_t>(attributes, limit).value_or(0);
    message.largest_offload = std::max(message.largest_offload, bytes);
  }
  return message;
}

std::optional<model::Event> parse_event(const Message& message) {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: return parse_link_event(message);
    case RTM_NEWADDR:
    case RTM_DELADDR: return parse_address(message);
    case RTM_NEWROUTE:
    case RTM_DELROUTE: return parse_route_change(message);
    case RTM_NEWRULE:
    case RTM_DELRULE: return parse_rule_change(message.payload);
    case RTM_NEWQDISC:
    case RTM_DELQDISC:
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
    case RTM_NEWCHAIN:
    case RTM_DELCHAIN: return parse_traffic_control(message.payload);
    default: return std::nullopt;
  }
}

void add_to(model::Kernel& kernel, const model::Event& event) {
  if (const auto* link = std::get_if<model::LinkSeen>(&event)) {
    kernel.links.put(link->link);
  } else if (const auto* v6 = std::get_if<model::Ipv6Seen>(&event)) {
    kernel.ipv6.put(v6->ifindex, v6->address);
  } else if (const auto* v4 = std::get_if<model::Ipv4Seen>(&event)) {
    kernel.ipv4.put(v4->ifindex, v4->address);
  }
}

std::optional<HostRoute> parse_host_route(const Message& message) {
  const auto route = own_route(message);
  if (!route || route->rtm_family != AF_INET6 || route->rtm_dst_len < kNat64PrefixLengths.front()) return std::nullopt;
  const Bytes attributes = attributes_after<rtmsg>(message.payload);
  const auto destination = address_in<Ipv6Address>(attributes, RTA_DST);
  if (!destination) return std::nullopt;
  HostRoute host{.destination = *destination,
                 .device = 0,
                 .metric = find_as<std::uint32_t>(attributes, RTA_PRIORITY).value_or(0),
                 .length = route->rtm_dst_len};
  // The kernel ties a blackhole to lo.
  if (route->rtm_type == RTN_BLACKHOLE) return host;
  host.device = find_as<int>(attributes, RTA_OIF).value_or(0);
  if (route->rtm_type != RTN_UNICAST || host.device <= 0) return std::nullopt;
  return host;
}

std::optional<DefaultRoute> parse_default_route(const Message& message) {
  const auto route = own_route(message);
  if (!route || route->rtm_family != AF_INET || route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST) {
    return std::nullopt;
  }
  const Bytes attributes = attributes_after<rtmsg>(message.payload);
  const auto device = find_as<int>(attributes, RTA_OIF);
  if (!device || *device <= 0) return std::nullopt;
  return DefaultRoute{.device = *device,
                      .source = address_in<Ipv4Address>(attributes, RTA_PREFSRC).value_or(Ipv4Address{}),
                      .metric = find_as<std::uint32_t>(attributes, RTA_PRIORITY).value_or(0)};
}

std::optional<Way> parse_way(const Message& message) {
  const auto header = read_as<rtmsg>(message.payload);
  if (message.type != RTM_NEWROUTE || !header || header->rtm_family != AF_INET6 || header->rtm_type != RTN_UNICAST) {
    return std::nullopt;
  }
  const Bytes attributes = attributes_after<rtmsg>(message.payload);
  Way way{.route = {.next_hop = address_in<Ipv6Address>(attributes, RTA_GATEWAY), .mtu = {}},
          .device = find_as<int>(attributes, RTA_OIF).value_or(0),
          .table = find_as<std::uint32_t>(attributes, RTA_TABLE).value_or(header->rtm_table)};
  auto& mtu = way.route.mtu;
  if (const auto metrics = find_attribute(attributes, RTA_METRICS)) mtu = find_as<std::uint32_t>(*metrics, RTAX_MTU);
  if (mtu == 0U) mtu.reset();
  return way;
}

namespace {

int preference_of(Bytes attributes) {
  constexpr std::uint8_t kHigh = 1, kLow = 3;  // of two bits
  const auto told = find_as<std::uint8_t>(attributes, RTA_PREF);
  return told == kHigh ? 1 : told == kLow ? -1 : 0;
}

// Of a route with several next hops, each of which is a header with attributes of its own.
std::vector<Way> next_hops_in(Bytes multipath, const Way& whole) {
  std::vector<Way> ways;
  while (const auto header = read_as<rtnexthop>(multipath)) {
    if (header->rtnh_len < sizeof(rtnexthop) || header->rtnh_len > multipath.size()) break;
    Way way = whole;
    way.device = header->rtnh_ifindex;
    way.route.next_hop =
        address_in<Ipv6Address>(multipath.first(header->rtnh_len).subspan(sizeof(rtnexthop)), RTA_GATEWAY);
    ways.push_back(way);
    multipath = multipath.subspan(std::min<std::size_t>((header->rtnh_len + 3U) & ~3U, multipath.size()));
  }
  return ways;
}

}  // namespace

std::vector<WayByRouter> parse_ways_by_routers(const Message& message) {
  const auto whole = parse_way(message);
  const auto header = read_as<rtmsg>(message.payload);
  if (!whole || !header || header->rtm_dst_len > 128 || header->rtm_src_len > 128) return {};
  const Bytes attributes = attributes_after<rtmsg>(message.payload);
  const WayByRouter route{
      .way = *whole,
      .destination = {address_in<Ipv6Address>(attributes, RTA_DST).value_or(Ipv6Address{}), header->rtm_dst_len},
      .source = {address_in<Ipv6Address>(attributes, RTA_SRC).value_or(Ipv6Address{}), header->rtm_src_len},
      .metric = find_as<std::uint32_t>(attributes, RTA_PRIORITY).value_or(0),
      .preference = preference_of(attributes)};
  const auto multipath = find_attribute(attributes, RTA_MULTIPATH);
  std::vector<WayByRouter> ways;
  for (const auto& way : multipath ? next_hops_in(*multipath, *whole) : std::vector{*whole}) {
    if (!way.route.next_hop) continue;
    ways.push_back(route);
    ways.back().way = way;
  }
  return ways;
}

std::optional<Neighbour> parse_neighbour(const Message& message) {
  const auto header = read_as<ndmsg>(message.payload);
  if (message.type != RTM_NEWNEIGH || !header || header->ndm_family != AF_INET6 || header->ndm_ifindex <= 0) {
    return std::nullopt;
  }
  const auto address = address_in<Ipv6Address>(attributes_after<ndmsg>(message.payload), NDA_DST);
  if (!address) return std::nullopt;
  return Neighbour{.device = header->ndm_ifindex,
                   .address = *address,
                   .failed = (header->ndm_state & NUD_FAILED) != 0,
                   .answers = (header->ndm_state & (NUD_REACHABLE | NUD_STALE)) != 0};
}

bool is_ipv4_way_by(const Message& message, int device) {
  const auto header = read_as<rtmsg>(message.payload);
  if (message.type != RTM_NEWROUTE || !header || header->rtm_family != AF_INET || header->rtm_type != RTN_UNICAST ||
      header->rtm_protocol == kRouteProtocol) {
    return false;
  }
  const Bytes attributes = attributes_after<rtmsg>(message.payload);
  const auto oif = find_as<int>(attributes, RTA_OIF);
  return oif ? *oif == device : find_attribute(attributes, RTA_MULTIPATH).has_value();
}

std::optional<ProxyNeighbour> parse_proxy_neighbour(const Message& message) {
  if (message.type != RTM_NEWNEIGH) return std::nullopt;
  const auto header = read_as<ndmsg>(message.payload);
  if (!header || header->ndm_family != AF_INET6 || (header->ndm_flags & NTF_PROXY) == 0 || header->ndm_ifindex <= 0) {
    return std::nullopt;
  }
  const Bytes attributes = attributes_after<ndmsg>(message.payload);
  const auto address = address_in<Ipv6Address>(attributes, NDA_DST);
  if (!address) return std::nullopt;
  return ProxyNeighbour{.device = header->ndm_ifindex,
                        .address = *address,
                        .protocol = find_as<std::uint8_t>(attributes, NDA_PROTOCOL).value_or(0)};
}

}  // namespace clat::system
