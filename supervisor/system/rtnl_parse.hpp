// rtnetlink messages to facts: pure functions over bytes. What is malformed, or of no concern, gives nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/ipv6_prefix.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/system/netlink_message.hpp"

namespace clat::system {

// rtm_protocol of every route, and NDA_PROTOCOL of every proxy neighbour entry, that is ours; by it they are told from
// those of others. Unassigned in /etc/iproute2/rt_protos; `ip route show proto 46` lists them.
constexpr std::uint8_t kRouteProtocol = 46;

// An RTM_NEWLINK.
constexpr std::string_view kTunKind = "tun";

struct LinkMessage {
  model::Link link;
  // Nothing: the message does not say, or the device has no IPv6 (link MTU below 1280).
  std::optional<std::uint32_t> ipv6_mtu;
  bool carrier = false;  // also of a device that is down
  std::string alias;
  std::string kind;                   // of a virtual device: "tun", "veth"
  std::uint32_t tun_queues = 0;       // of a tun with several, those that somebody has open
  std::uint32_t largest_offload = 0;  // the greatest of the GSO and GRO limits, bytes
};
std::optional<LinkMessage> parse_link(Bytes payload);

// What a notification, or one message of a dump, says: LinkSeen, LinkGone, Ipv6Seen, Ipv6Gone, Ipv6RoutesChanged,
// Ipv4DefaultRouteChanged, Ipv4Seen, Ipv4Gone or TrafficControlChanged. Nothing for our own IPv6 routes, for other IPv4
// routes and for those of table local, nothing for AF_BRIDGE's view of a link, for blocks shared by qdiscs, and for all
// other types.
std::optional<model::Event> parse_event(const Message& message);

// Puts a LinkSeen, Ipv6Seen or Ipv4Seen into the picture; other events change nothing.
void add_to(model::Kernel& kernel, const model::Event& event);

// An IPv6 /128 of table main. `device` 0: a blackhole.
struct HostRoute {
  Ipv6Address destination;
  int device = 0;  // ifindex
  std::uint32_t metric = 0;
  unsigned length = 128;  // of the destination; shorter where hosts of a LAN are mapped one to one
  bool operator==(const HostRoute&) const = default;
};
// The IPv4 default route of table main through a device without a gateway.
struct DefaultRoute {
  int device = 0;  // ifindex
  Ipv4Address source;
  std::uint32_t metric = 0;
  bool operator==(const DefaultRoute&) const = default;
};
struct ProxyNeighbour {
  int device = 0;  // ifindex
  Ipv6Address address;
  std::uint8_t protocol = 0;
  bool operator==(const ProxyNeighbour&) const = default;
};
// Only with protocol kRouteProtocol.
std::optional<HostRoute> parse_host_route(const Message& message);
std::optional<DefaultRoute> parse_default_route(const Message& message);
std::optional<ProxyNeighbour> parse_proxy_neighbour(const Message& message);

// The answer to a look-up of the way to one address. Nothing when it says that there is none.
struct Way {
  model::Route route;
  int device = 0;
  std::uint32_t table = 0;
};
std::optional<Way> parse_way(const Message& message);
// Of an IPv6 route in a dump: each router that it names, and what for.
struct WayByRouter {
  Way way;  // its next hop is set
  Ipv6Prefix destination = {{}, 0};
  Ipv6Prefix source = {{}, 0};
  std::uint32_t metric = 0;
  int preference = 0;  // RFC 4191: 1 high, 0 medium, -1 low
};
std::vector<WayByRouter> parse_ways_by_routers(const Message& message);

// What the kernel says of a neighbour.
struct Neighbour {
  int device = 0;
  Ipv6Address address;
  bool failed = false;  // it does not answer
  bool answers = false;
};
std::optional<Neighbour> parse_neighbour(const Message& message);
// The answer to the like for IPv4: a route of others that leads out by that device, or by several that it is one of.
bool is_ipv4_way_by(const Message& message, int device);

}  // namespace clat::system
