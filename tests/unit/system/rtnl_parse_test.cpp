#include "supervisor/system/rtnl_parse.hpp"

#include <gtest/gtest.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <memory>
#include <random>
#include <set>

#include "bytes.hpp"

namespace clat::system {
namespace {

using model::Event;
using test::attribute;
using test::Buffer;
using test::bytes_of;
using test::message;
using test::operator+;

std::optional<Event> event_in(const Buffer& datagram) {
  Bytes rest(datagram);
  const auto first = next_message(rest);
  return first ? parse_event(*first) : std::nullopt;
}

template <class E>
E only(const Buffer& datagram) {
  const auto event = event_in(datagram);
  EXPECT_TRUE(event && std::holds_alternative<E>(*event));
  return event && std::holds_alternative<E>(*event) ? std::get<E>(*event) : E{};
}

ifinfomsg link_header(std::uint8_t family = AF_UNSPEC, std::uint16_t type = ARPHRD_ETHER, unsigned flags = 0) {
  ifinfomsg header{};
  header.ifi_family = family;
  header.ifi_type = type;
  header.ifi_index = 7;
  header.ifi_flags = flags;
  return header;
}

Buffer name_and_mtu(const char* name, std::uint32_t mtu) {
  return attribute(IFLA_IFNAME, bytes_of(name)) + attribute(IFLA_MTU, bytes_of(mtu));
}

Buffer inet6_conf(std::uint32_t mtu) {
  Buffer conf((DEVCONF_MTU6 + 3) * sizeof mtu);
  std::memcpy(conf.data() + DEVCONF_MTU6 * sizeof mtu, &mtu, sizeof mtu);
  return attribute(IFLA_INET6_CONF, conf);
}

Buffer af_spec(std::uint32_t mtu) {
  return attribute(IFLA_AF_SPEC | NLA_F_NESTED,
                   attribute(AF_INET, {1, 2, 3, 4}) + attribute(AF_INET6, inet6_conf(mtu)));
}

Buffer whole_link() {
  return message(RTM_NEWLINK,
                 bytes_of(link_header(AF_UNSPEC, ARPHRD_ETHER, IFF_UP | IFF_LOWER_UP)) + name_and_mtu("wan0", 1500) +
                     attribute(IFLA_ADDRESS, {2, 0, 0, 0, 0, 1}) + attribute(IFLA_IFALIAS, bytes_of("an alias")) +
                     attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, bytes_of("veth"))) + af_spec(1480));
}

TEST(LinkFacts, OfAnEthernetLink) {
  const auto seen = only<model::LinkSeen>(whole_link());
  const model::Link expected{.ifindex = 7,
                             .name = "wan0",
                             .up = true,
                             .carrier = true,
                             .mtu = 1480,
                             .layer = LinkLayer::ethernet,
                             .mac = {{2, 0, 0, 0, 0, 1}},
                             .link_mtu = 1500};
  EXPECT_EQ(seen.link, expected);
}

TEST(LinkFacts, AltnamesUpToTheirGreatestLength) {
  const std::string longest(ALTIFNAMSIZ - 1, 'a');
  const std::string longer(ALTIFNAMSIZ, 'a');
  const auto header = bytes_of(link_header()) + name_and_mtu("wan0", 1500);
  const auto list = attribute(IFLA_PROP_LIST | NLA_F_NESTED, attribute(IFLA_ALT_IFNAME, bytes_of(longest.c_str())) +
                                                                 attribute(IFLA_ALT_IFNAME, bytes_of(longer.c_str())) +
                                                                 attribute(IFLA_ALT_IFNAME, {}) +
                                                                 attribute(IFLA_ALT_IFNAME, bytes_of("wan")));
  const auto seen = only<model::LinkSeen>(message(RTM_NEWLINK, header + list));
  EXPECT_EQ(seen.link.altnames, (std::vector<std::string>{longest, "wan"}));
  EXPECT_TRUE(seen.tells_altnames);
}

TEST(LinkFacts, IPv6SaysNothingOfAltnames) {
  const auto header = bytes_of(link_header(AF_INET6)) + name_and_mtu("wan0", 1500);
  EXPECT_FALSE(only<model::LinkSeen>(message(RTM_NEWLINK, header)).tells_altnames);
}

TEST(LinkFacts, AliasKindAndBothMtus) {
  const Buffer datagram = whole_link();
  const auto link = parse_link(Bytes(datagram).subspan(sizeof(nlmsghdr)));
  ASSERT_TRUE(link);
  EXPECT_EQ(link->alias, "an alias");
  EXPECT_EQ(link->kind, "veth");
  EXPECT_EQ(link->link.link_mtu, 1500u);
  EXPECT_EQ(link->ipv6_mtu, 1480u);
}

TEST(LinkFacts, UpAndCarrierAreApart) {
  const auto with_flags = [](unsigned flags) {
    return only<model::LinkSeen>(
               message(RTM_NEWLINK, bytes_of(link_header(AF_UNSPEC, ARPHRD_ETHER, flags)) + name_and_mtu("wan0", 1500)))
        .link;
  };
  EXPECT_TRUE(with_flags(IFF_UP).up);
  EXPECT_FALSE(with_flags(IFF_UP).carrier);
  EXPECT_FALSE(with_flags(IFF_LOWER_UP).up);
  EXPECT_TRUE(with_flags(IFF_LOWER_UP).carrier);
}

TEST(LinkFacts, MtuIsTheSmallerOfLinkAndIpv6) {
  const auto with = [](std::uint32_t mtu, const Buffer& rest) {
    return only<model::LinkSeen>(message(RTM_NEWLINK, bytes_of(link_header()) + name_and_mtu("wan0", mtu) + rest))
        .link.mtu;
  };
  EXPECT_EQ(with(1500, {}), 1500u);
  EXPECT_EQ(with(1500, af_spec(1280)), 1280u);
  EXPECT_EQ(with(1400, af_spec(1500)), 1400u);
  EXPECT_EQ(with(1500, attribute(IFLA_PROTINFO, inet6_conf(1300))), 1300u);
  EXPECT_EQ(with(1500, attribute(IFLA_AF_SPEC, attribute(AF_INET6, attribute(IFLA_INET6_CONF, Buffer(8))))), 1500u);
}

TEST(LinkFacts, LayerFollowsTheHardwareType) {
  const auto layer = [](std::uint16_t type) {
    return only<model::LinkSeen>(message(RTM_NEWLINK, bytes_of(link_header(AF_UNSPEC, type)) + name_and_mtu("x", 1500)))
        .link.layer;
  };
  EXPECT_EQ(layer(ARPHRD_ETHER), LinkLayer::ethernet);
  EXPECT_EQ(layer(ARPHRD_NONE), LinkLayer::raw_ip);
  EXPECT_EQ(layer(ARPHRD_PPP), LinkLayer::raw_ip);
  EXPECT_EQ(layer(ARPHRD_RAWIP), LinkLayer::raw_ip);
  EXPECT_EQ(layer(ARPHRD_TUNNEL6), LinkLayer::other);
  EXPECT_EQ(layer(ARPHRD_LOOPBACK), LinkLayer::other);
}

TEST(LinkFacts, OnlyAWholeMacAddressOfEthernetCounts) {
  const auto mac = [](std::uint16_t type, const Buffer& address) {
    return only<model::LinkSeen>(message(RTM_NEWLINK, bytes_of(link_header(AF_UNSPEC, type)) + name_and_mtu("x", 1500) +
                                                          attribute(IFLA_ADDRESS, address)))
        .link.mac;
  };
  EXPECT_EQ(mac(ARPHRD_ETHER, {1, 2, 3, 4, 5}), MacAddress{});
  EXPECT_EQ(mac(ARPHRD_NONE, {1, 2, 3, 4, 5, 6}), MacAddress{});
}

TEST(LinkFacts, TheBridgesViewOfALinkIsNone) {
  const Buffer payload = bytes_of(link_header(AF_BRIDGE)) + name_and_mtu("wan0", 1500);
  EXPECT_FALSE(event_in(message(RTM_NEWLINK, payload)));
  EXPECT_FALSE(event_in(message(RTM_DELLINK, payload)));
}

TEST(LinkFacts, OnlyTheLinkItselfCanGo) {
  EXPECT_EQ(only<model::LinkGone>(message(RTM_DELLINK, bytes_of(link_header()))).ifindex, 7);
  EXPECT_FALSE(event_in(message(RTM_DELLINK, bytes_of(link_header(AF_INET6)))));
}

TEST(LinkFacts, WithoutAProperNameOrMtuThereIsNoLink) {
  const Buffer header = bytes_of(link_header());
  const Buffer mtu = attribute(IFLA_MTU, bytes_of(std::uint32_t{1500}));
  EXPECT_FALSE(event_in(message(RTM_NEWLINK, header + mtu)));
  EXPECT_FALSE(event_in(message(RTM_NEWLINK, header + attribute(IFLA_IFNAME, bytes_of("wan0")))));
  EXPECT_FALSE(event_in(message(RTM_NEWLINK, header + name_and_mtu("", 1500))));
  EXPECT_FALSE(event_in(message(RTM_NEWLINK, header + attribute(IFLA_IFNAME, Buffer(16, 'a')) + mtu)));
  EXPECT_FALSE(
      event_in(message(RTM_NEWLINK, header + attribute(IFLA_IFNAME, bytes_of("w")) + attribute(IFLA_MTU, {1}))));
}

TEST(LinkFacts, AnIndexThatIsNoneIsRefused) {
  for (const int ifindex : {0, -1}) {
    auto header = link_header();
    header.ifi_index = ifindex;
    EXPECT_FALSE(event_in(message(RTM_NEWLINK, bytes_of(header) + name_and_mtu("wan0", 1500))));
    EXPECT_FALSE(event_in(message(RTM_DELLINK, bytes_of(header))));
  }
}

// --- addresses

const Ipv6Address kV6 = *Ipv6Address::parse("2001:db8::7");
const Ipv4Address kV4 = *Ipv4Address::parse("192.0.0.4");

Buffer as_buffer(const auto& address) { return {address.bytes.begin(), address.bytes.end()}; }

Buffer ipv6_address(std::uint16_t type, std::uint32_t flags, std::uint8_t scope = RT_SCOPE_UNIVERSE) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_prefixlen = 64;
  header.ifa_flags = static_cast<std::uint8_t>(flags);
  header.ifa_scope = scope;
  header.ifa_index = 7;
  return message(type,
                 bytes_of(header) + attribute(IFA_ADDRESS, as_buffer(kV6)) + attribute(IFA_FLAGS, bytes_of(flags)));
}

TEST(AddressFacts, UsableUnlessPendingFailedOrNotGlobal) {
  struct Case {
    std::uint32_t flags;
    std::uint8_t scope;
    bool usable;
  };
  for (const auto& [flags, scope, usable] :
       {Case{0, RT_SCOPE_UNIVERSE, true}, Case{IFA_F_PERMANENT | IFA_F_MANAGETEMPADDR, RT_SCOPE_UNIVERSE, true},
        Case{IFA_F_TENTATIVE, RT_SCOPE_UNIVERSE, false},
        Case{IFA_F_TENTATIVE | IFA_F_OPTIMISTIC, RT_SCOPE_UNIVERSE, true},
        Case{IFA_F_DADFAILED | IFA_F_TENTATIVE, RT_SCOPE_UNIVERSE, false},
        Case{IFA_F_DADFAILED, RT_SCOPE_UNIVERSE, false}, Case{0, RT_SCOPE_LINK, false}, Case{0, RT_SCOPE_SITE, false},
        Case{0, RT_SCOPE_HOST, false}}) {
    const auto seen = only<model::Ipv6Seen>(ipv6_address(RTM_NEWADDR, flags, scope));
    EXPECT_EQ(seen.address.usable, usable) << "flags " << flags << " scope " << int{scope};
    EXPECT_EQ(seen.ifindex, 7);
    EXPECT_EQ(seen.address.address, kV6);
    EXPECT_EQ(seen.address.length, 64);
  }
}

TEST(AddressFacts, DeprecatedAndTemporary) {
  const auto deprecated = only<model::Ipv6Seen>(ipv6_address(RTM_NEWADDR, IFA_F_DEPRECATED)).address;
  EXPECT_TRUE(deprecated.deprecated);
  EXPECT_FALSE(deprecated.temporary);
  EXPECT_TRUE(only<model::Ipv6Seen>(ipv6_address(RTM_NEWADDR, IFA_F_TEMPORARY)).address.temporary);
}

TEST(AddressFacts, TheWideFlagsGoBeforeTheHeaders) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_flags = IFA_F_TENTATIVE;
  header.ifa_index = 7;
  const Buffer narrow = bytes_of(header) + attribute(IFA_ADDRESS, as_buffer(kV6));
  EXPECT_FALSE(only<model::Ipv6Seen>(message(RTM_NEWADDR, narrow)).address.usable);
  const Buffer wide = narrow + attribute(IFA_FLAGS, bytes_of(std::uint32_t{0}));
  EXPECT_TRUE(only<model::Ipv6Seen>(message(RTM_NEWADDR, wide)).address.usable);
}

TEST(AddressFacts, GoneNamesTheAddress) {
  const auto gone = only<model::Ipv6Gone>(ipv6_address(RTM_DELADDR, 0));
  EXPECT_EQ(gone.ifindex, 7);
  EXPECT_EQ(gone.address, kV6);
}

TEST(AddressFacts, OnAPointToPointLinkTheLocalOneIsOurs) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = 32;
  header.ifa_index = 7;
  const Buffer payload =
      bytes_of(header) + attribute(IFA_ADDRESS, {10, 0, 0, 1}) + attribute(IFA_LOCAL, as_buffer(kV4));
  const model::Ipv4OnLink expected{kV4, *Ipv4Prefix::parse("10.0.0.1/32")};
  EXPECT_EQ(only<model::Ipv4Seen>(message(RTM_NEWADDR, payload)).address, expected);
  EXPECT_EQ(only<model::Ipv4Gone>(message(RTM_DELADDR, payload)).address, kV4);
}

TEST(AddressFacts, OfAnIpv4SubnetItsHostBitsAreLeftOut) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_index = 7;
  const auto subnet = [&](std::uint8_t length) {
    header.ifa_prefixlen = length;
    const Buffer payload =
        bytes_of(header) + attribute(IFA_ADDRESS, {10, 9, 8, 7}) + attribute(IFA_LOCAL, {10, 9, 8, 7});
    return only<model::Ipv4Seen>(message(RTM_NEWADDR, payload)).address.subnet.text();
  };
  EXPECT_EQ(subnet(24), "10.9.8.0/24");
  EXPECT_EQ(subnet(1), "0.0.0.0/1");
  EXPECT_EQ(subnet(0), "10.9.8.7/32") << "no subnet is everything";
}

TEST(AddressFacts, WhatCannotBeAnAddressIsNone) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_index = 7;
  header.ifa_prefixlen = 64;
  EXPECT_FALSE(event_in(message(RTM_NEWADDR, bytes_of(header))));
  EXPECT_FALSE(event_in(message(RTM_NEWADDR, bytes_of(header) + attribute(IFA_ADDRESS, {1, 2, 3, 4}))));
  header.ifa_prefixlen = 129;
  EXPECT_FALSE(event_in(message(RTM_NEWADDR, bytes_of(header) + attribute(IFA_ADDRESS, as_buffer(kV6)))));
  header.ifa_prefixlen = 64;
  header.ifa_index = 0;
  EXPECT_FALSE(event_in(message(RTM_NEWADDR, bytes_of(header) + attribute(IFA_ADDRESS, as_buffer(kV6)))));
  header.ifa_index = 7;
  header.ifa_family = AF_PHONET;
  EXPECT_FALSE(event_in(message(RTM_NEWADDR, bytes_of(header) + attribute(IFA_ADDRESS, as_buffer(kV6)))));
}

// --- traffic control

TEST(TrafficControlFacts, NameTheInterface) {
  tcmsg header{};
  header.tcm_ifindex = 7;
  for (const std::uint16_t type :
       {RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTFILTER, RTM_DELTFILTER, RTM_NEWCHAIN, RTM_DELCHAIN}) {
    EXPECT_EQ(only<model::TrafficControlChanged>(message(type, bytes_of(header))).ifindex, 7);
  }
  EXPECT_FALSE(event_in(message(RTM_NEWTCLASS, bytes_of(header))));
  header.tcm_ifindex = static_cast<int>(TCM_IFINDEX_MAGIC_BLOCK);
  EXPECT_FALSE(event_in(message(RTM_DELTFILTER, bytes_of(header))));
  EXPECT_FALSE(event_in(message(RTM_DELTFILTER, {0, 0, 0, 0, 7, 0})));
}

// --- folding

TEST(Kernel, AddressesSeenTwiceCountOnce) {
  model::Kernel kernel;
  add_to(kernel, model::Ipv4Seen{7, kV4});
  add_to(kernel, model::Ipv4Seen{7, kV4});
  add_to(kernel, model::Ipv6Seen{7, {.address = kV6, .length = 64, .usable = false}});
  add_to(kernel, model::Ipv6Seen{7, {.address = kV6, .length = 64, .usable = true}});
  add_to(kernel, model::LinkGone{7});
  ASSERT_EQ(kernel.ipv4.of(7).size(), 1u);
  EXPECT_EQ(kernel.ipv4.of(7)[0].address, kV4);
  ASSERT_EQ(kernel.ipv6.of(7).size(), 1u);
  EXPECT_TRUE(kernel.ipv6.of(7)[0].usable);
}

// --- routes and neighbours

Message as_message(const Buffer& datagram) {
  Bytes rest(datagram);
  return *next_message(rest);
}

rtmsg route_header(std::uint8_t family, std::uint8_t length, std::uint8_t type) {
  rtmsg header{};
  header.rtm_family = family;
  header.rtm_dst_len = length;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kRouteProtocol;
  header.rtm_type = type;
  return header;
}

TEST(Routes, OfOursAreKnown) {
  const Buffer destination = attribute(RTA_DST, as_buffer(kV6)) + attribute(RTA_PRIORITY, bytes_of(1024u));
  const Buffer device = attribute(RTA_OIF, bytes_of(5));
  const Buffer via = message(RTM_NEWROUTE, bytes_of(route_header(AF_INET6, 128, RTN_UNICAST)) + destination + device);
  EXPECT_EQ(parse_host_route(as_message(via)), (HostRoute{.destination = kV6, .device = 5, .metric = 1024}));
  const Buffer hole =
      message(RTM_NEWROUTE, bytes_of(route_header(AF_INET6, 128, RTN_BLACKHOLE)) + destination + device);
  EXPECT_EQ(parse_host_route(as_message(hole)), (HostRoute{.destination = kV6, .device = 0, .metric = 1024}));
  const Buffer range =
      message(RTM_NEWROUTE, bytes_of(route_header(AF_INET6, 56, RTN_BLACKHOLE)) + destination + device);
  EXPECT_EQ(parse_host_route(as_message(range)),
            (HostRoute{.destination = kV6, .device = 0, .metric = 1024, .length = 56}));
  const Buffer all =
      message(RTM_NEWROUTE, bytes_of(route_header(AF_INET, 0, RTN_UNICAST)) + device +
                                attribute(RTA_PREFSRC, as_buffer(kV4)) + attribute(RTA_PRIORITY, bytes_of(2048u)));
  EXPECT_EQ(parse_default_route(as_message(all)), (DefaultRoute{.device = 5, .source = kV4, .metric = 2048}));
}

TEST(Routes, OfOthersAreNot) {
  const Buffer rest = attribute(RTA_DST, as_buffer(kV6)) + attribute(RTA_OIF, bytes_of(5));
  const auto refused = [&](auto spoil) {
    auto host = route_header(AF_INET6, 128, RTN_UNICAST);
    auto everywhere = route_header(AF_INET, 0, RTN_UNICAST);
    spoil(host);
    spoil(everywhere);
    const Buffer host_message = message(RTM_NEWROUTE, bytes_of(host) + rest);
    const Buffer default_message = message(RTM_NEWROUTE, bytes_of(everywhere) + rest);
    return !parse_host_route(as_message(host_message)) && !parse_default_route(as_message(default_message));
  };
  EXPECT_FALSE(refused([](rtmsg&) {}));
  EXPECT_TRUE(refused([](rtmsg& route) { route.rtm_protocol = RTPROT_STATIC; }));
  EXPECT_TRUE(refused([](rtmsg& route) { route.rtm_table = RT_TABLE_LOCAL; }));
  EXPECT_TRUE(refused([](rtmsg& route) { route.rtm_dst_len = 31; }));
  EXPECT_TRUE(refused([](rtmsg& route) { route.rtm_type = RTN_PROHIBIT; }));
}

TEST(Routes, OfOthersThatChangeAreAHint) {
  const auto hint = [](auto spoil) {
    auto header = route_header(AF_INET6, 0, RTN_UNICAST);
    header.rtm_protocol = RTPROT_RA;
    spoil(header);
    const auto of_new = event_in(message(RTM_NEWROUTE, bytes_of(header)));
    const auto of_gone = event_in(message(RTM_DELROUTE, bytes_of(header)));
    EXPECT_EQ(of_new.has_value(), of_gone.has_value());
    return of_new && std::holds_alternative<model::Ipv6RoutesChanged>(*of_new);
  };
  EXPECT_TRUE(hint([](rtmsg&) {}));
  EXPECT_TRUE(hint([](rtmsg& route) { route.rtm_table = 100; }));
  EXPECT_FALSE(hint([](rtmsg& route) { route.rtm_family = AF_INET; }));
  EXPECT_FALSE(hint([](rtmsg& route) { route.rtm_protocol = kRouteProtocol; }));
  EXPECT_FALSE(hint([](rtmsg& route) { route.rtm_table = RT_TABLE_LOCAL; }));
  EXPECT_FALSE(hint([](rtmsg& route) { route.rtm_flags = RTM_F_CLONED; }));
  EXPECT_FALSE(event_in(message(RTM_NEWROUTE, {AF_INET6, 0, 0})));
}

TEST(Routes, AnIpv4DefaultThatMayHaveTakenOursIsToldByItsMetric) {
  const auto metric = [](std::uint16_t type, std::uint8_t protocol, auto spoil) -> std::optional<std::uint32_t> {
    auto header = route_header(AF_INET, 0, RTN_UNICAST);
    header.rtm_protocol = protocol;
    spoil(header);
    const auto event =
        event_in(message(type, bytes_of(header) + attribute(RTA_PRIORITY, bytes_of(std::uint32_t{2048}))));
    if (!event) return std::nullopt;
    return std::get<model::Ipv4DefaultRouteChanged>(*event).metric;
  };
  const auto as_it_is = [](rtmsg&) {};
  EXPECT_EQ(metric(RTM_DELROUTE, kRouteProtocol, as_it_is), 2048U);
  EXPECT_EQ(metric(RTM_DELROUTE, RTPROT_BOOT, as_it_is), 2048U);
  EXPECT_EQ(metric(RTM_NEWROUTE, RTPROT_BOOT, as_it_is), 2048U);
  EXPECT_EQ(metric(RTM_NEWROUTE, kRouteProtocol, as_it_is), std::nullopt);
  EXPECT_EQ(metric(RTM_DELROUTE, kRouteProtocol, [](rtmsg& route) { route.rtm_dst_len = 24; }), std::nullopt);
  EXPECT_EQ(metric(RTM_DELROUTE, kRouteProtocol, [](rtmsg& route) { route.rtm_table = 100; }), std::nullopt);
  const auto bare = event_in(message(RTM_DELROUTE, bytes_of(route_header(AF_INET, 0, RTN_UNICAST))));
  ASSERT_TRUE(bare);
  EXPECT_EQ(std::get<model::Ipv4DefaultRouteChanged>(*bare).metric, 0U);
}

fib_rule_hdr rule_of(std::uint8_t family) {
  fib_rule_hdr header{};
  header.family = family;
  return header;
}

TEST(Rules, OfIpv6AreAHintToo) {
  for (const std::uint16_t type : {RTM_NEWRULE, RTM_DELRULE}) {
    const auto event = event_in(message(type, bytes_of(rule_of(AF_INET6))));
    EXPECT_TRUE(event && std::holds_alternative<model::Ipv6RoutesChanged>(*event));
    EXPECT_FALSE(event_in(message(type, bytes_of(rule_of(AF_INET)))));
    EXPECT_FALSE(event_in(message(type, {AF_INET6})));
  }
}

TEST(Ways, TellNextHopAndMtu) {
  const auto way = [](std::uint8_t type, const Buffer& attributes) {
    const Buffer datagram = message(RTM_NEWROUTE, bytes_of(route_header(AF_INET6, 128, type)) + attributes);
    return parse_way(as_message(datagram));
  };
  const auto mtu = [](std::uint32_t bytes) { return attribute(RTA_METRICS, attribute(RTAX_MTU, bytes_of(bytes))); };
  EXPECT_EQ(way(RTN_UNICAST, {})->route, (model::Route{}));
  EXPECT_EQ(way(RTN_UNICAST, {})->device, 0);
  EXPECT_EQ(way(RTN_UNICAST, attribute(RTA_GATEWAY, as_buffer(kV6)) + mtu(1400))->route,
            (model::Route{.next_hop = kV6, .mtu = 1400}));
  EXPECT_EQ(way(RTN_UNICAST, attribute(RTA_OIF, bytes_of(7)))->device, 7);
  EXPECT_EQ(way(RTN_UNICAST, mtu(0))->route, (model::Route{}));
  EXPECT_FALSE(way(RTN_BLACKHOLE, mtu(1400)));
  EXPECT_FALSE(parse_way(as_message(message(RTM_NEWROUTE, {AF_INET6}))));
}

TEST(WaysByRouters, OneForEachNextHop) {
  const auto header = [](std::uint8_t length) { return bytes_of(route_header(AF_INET6, length, RTN_UNICAST)); };
  const auto other = *Ipv6Address::parse("fe80::2");
  const auto common = attribute(RTA_TABLE, bytes_of(std::uint32_t{66})) +
                      attribute(RTA_PRIORITY, bytes_of(std::uint32_t{512})) + attribute(RTA_PREF, {3});
  const Buffer plain = message(
      RTM_NEWROUTE, header(0) + common + attribute(RTA_OIF, bytes_of(7)) + attribute(RTA_GATEWAY, as_buffer(kV6)));
  const auto one = parse_ways_by_routers(as_message(plain));
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].way.route.next_hop, kV6);
  EXPECT_EQ(one[0].way.device, 7);
  EXPECT_EQ(one[0].way.table, 66u);
  EXPECT_EQ(one[0].metric, 512u);
  EXPECT_EQ(one[0].preference, -1);
  EXPECT_EQ(one[0].destination, (Ipv6Prefix{{}, 0}));

  const auto hop = [](int device, const Ipv6Address& gateway) {
    const Buffer attributes = attribute(RTA_GATEWAY, as_buffer(gateway));
    rtnexthop nexthop{};
    nexthop.rtnh_len = static_cast<unsigned short>(sizeof nexthop + attributes.size());
    nexthop.rtnh_ifindex = device;
    return bytes_of(nexthop) + attributes;
  };
  const Buffer several = message(RTM_NEWROUTE, header(96) + common + attribute(RTA_DST, as_buffer(kV6)) +
                                                   attribute(RTA_MULTIPATH, hop(7, kV6) + hop(8, other)));
  const auto both = parse_ways_by_routers(as_message(several));
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].way.device, 7);
  EXPECT_EQ(both[1].way.device, 8);
  EXPECT_EQ(both[1].way.route.next_hop, other);
  EXPECT_EQ(both[1].destination, (Ipv6Prefix{kV6, 96}));

  const Buffer on_link = message(RTM_NEWROUTE, header(64) + common + attribute(RTA_OIF, bytes_of(7)));
  EXPECT_TRUE(parse_ways_by_routers(as_message(on_link)).empty());
}

TEST(Neighbours, FailOrAnswer) {
  const auto seen = [](std::uint16_t state) {
    ndmsg header{};
    header.ndm_family = AF_INET6;
    header.ndm_ifindex = 7;
    header.ndm_state = state;
    const Buffer datagram = message(RTM_NEWNEIGH, bytes_of(header) + attribute(NDA_DST, as_buffer(kV6)));
    return parse_neighbour(as_message(datagram)).value();
  };
  EXPECT_TRUE(seen(NUD_FAILED).failed);
  EXPECT_EQ(seen(NUD_FAILED).address, kV6);
  EXPECT_EQ(seen(NUD_FAILED).device, 7);
  for (const std::uint16_t state : {NUD_REACHABLE, NUD_STALE}) {
    EXPECT_TRUE(seen(state).answers && !seen(state).failed) << state;
  }
  for (const std::uint16_t state : {NUD_INCOMPLETE, NUD_DELAY, NUD_PROBE, NUD_NONE}) {
    EXPECT_FALSE(seen(state).answers || seen(state).failed) << state;
  }
}

TEST(ProxyNeighbours, OnlyThoseMarkedSo) {
  ndmsg header{};
  header.ndm_family = AF_INET6;
  header.ndm_ifindex = 7;
  header.ndm_flags = NTF_PROXY;
  const Buffer rest = attribute(NDA_DST, as_buffer(kV6)) + attribute(NDA_PROTOCOL, {kRouteProtocol});
  const Buffer proxy = message(RTM_NEWNEIGH, bytes_of(header) + rest);
  EXPECT_EQ(parse_proxy_neighbour(as_message(proxy)),
            (ProxyNeighbour{.device = 7, .address = kV6, .protocol = kRouteProtocol}));
  header.ndm_flags = 0;
  const Buffer plain = message(RTM_NEWNEIGH, bytes_of(header) + rest);
  EXPECT_FALSE(parse_proxy_neighbour(as_message(plain)));
}

// --- hostile bytes

// Every parser, on a copy whose end is the end of its allocation, so that a sanitizer sees a byte read too far.
void parse_all(const Buffer& datagram) {
  const auto copy = std::make_unique<std::uint8_t[]>(datagram.size());
  std::ranges::copy(datagram, copy.get());
  Bytes rest(copy.get(), datagram.size());
  while (const auto next = next_message(rest)) {
    (void)parse_acknowledgement(*next);
    (void)parse_host_route(*next);
    (void)parse_default_route(*next);
    (void)parse_way(*next);
    (void)parse_ways_by_routers(*next);
    (void)parse_neighbour(*next);
    (void)parse_proxy_neighbour(*next);
    const auto event = parse_event(*next);
    if (!event) continue;
    if (const auto* link = std::get_if<model::LinkSeen>(&*event)) {
      EXPECT_GT(link->link.ifindex, 0);
      EXPECT_FALSE(link->link.name.empty());
      EXPECT_LT(link->link.name.size(), 16u);
    } else if (const auto* address = std::get_if<model::Ipv6Seen>(&*event)) {
      EXPECT_GT(address->ifindex, 0);
      EXPECT_LE(address->address.length, 128);
    }
  }
}

std::vector<Buffer> good_messages() {
  const Buffer route = bytes_of(route_header(AF_INET6, 128, RTN_UNICAST)) + attribute(RTA_DST, as_buffer(kV6)) +
                       attribute(RTA_OIF, bytes_of(5)) + attribute(RTA_PRIORITY, bytes_of(9u));
  return {whole_link(), ipv6_address(RTM_NEWADDR, 0), message(RTM_NEWROUTE, route),
          message(NLMSG_ERROR, bytes_of(nlmsgerr{}) + attribute(NLMSGERR_ATTR_MSG, bytes_of("text")), NLM_F_ACK_TLVS)};
}

TEST(HostileBytes, CutAnywhere) {
  for (const Buffer& good : good_messages()) {
    for (std::size_t length = 0; length <= good.size(); ++length) {
      Buffer cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
      parse_all(cut);
      // Also when the message's own length agrees with the cut.
      if (length < sizeof(nlmsghdr)) continue;
      const auto claimed = static_cast<std::uint32_t>(length);
      std::memcpy(cut.data(), &claimed, sizeof claimed);
      parse_all(cut);
    }
  }
}

TEST(HostileBytes, AnyByteChanged) {
  for (const Buffer& good : good_messages()) {
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (const int value : {0x00, 0x01, 0x03, 0x04, 0x7f, 0x80, 0xff}) {
        Buffer bad = good;
        bad[i] = static_cast<std::uint8_t>(value);
        parse_all(bad);
      }
    }
  }
}

TEST(HostileBytes, ManyBytesChanged) {
  std::mt19937 random(46);  // NOLINT(cert-msc51-cpp): the same every time
  for (int round = 0; round < 20'000; ++round) {
    for (Buffer bad : good_messages()) {
      for (int i = 0; i < 4; ++i) bad[random() % bad.size()] = static_cast<std::uint8_t>(random());
      parse_all(bad);
    }
  }
}

TEST(HostileBytes, ANestThatClaimsMoreThanItsParent) {
  Buffer inner = attribute(AF_INET6, inet6_conf(1300));
  const std::uint16_t lie = 0x4000;
  std::memcpy(inner.data(), &lie, sizeof lie);
  const auto seen = only<model::LinkSeen>(
      message(RTM_NEWLINK, bytes_of(link_header()) + name_and_mtu("wan0", 1500) + attribute(IFLA_AF_SPEC, inner)));
  EXPECT_EQ(seen.link.mtu, 1500u);
}

}  // namespace
}  // namespace clat::system
