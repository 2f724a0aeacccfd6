// What the kernel says of its connections, and which of them could go past the stack.
#include "supervisor/system/conntrack.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>

#include "bytes.hpp"
#include "supervisor/system/lan_route.hpp"

namespace clat::system {
namespace {

using test::attribute;
using test::Buffer;
using test::bytes_of;
using test::operator+;

constexpr std::uint32_t kPlain = IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_SRC_NAT | IPS_SRC_NAT_DONE;
constexpr std::uint8_t kEstablished = 3, kFinWait = 4;

Ipv4Address address(const char* text) { return *Ipv4Address::parse(text); }

model::ShortcutSpec spec() {
  model::ShortcutSpec spec;
  spec.lans = {{.ifindex = 5, .name = "br-lan", .mtu = 1500}};
  spec.clats = {{.uplink = 2, .tun = 9, .v4 = address("192.0.0.4"), .prefix = *Nat64Prefix::parse("64:ff9b::/96")}};
  spec.clats.front().mapped = {*Ipv4Prefix::parse("192.168.9.0/24")};
  return spec;
}

Connection masqueraded() {
  return {.original = {address("192.168.7.2"), address("198.51.100.1"), 40000, 443, IPPROTO_TCP},
          .reply = {address("198.51.100.1"), address("192.0.0.4"), 443, 50000, IPPROTO_TCP},
          .status = kPlain,
          .timeout = std::chrono::hours(1),
          .tcp_state = kEstablished};
}

Buffer number(std::uint32_t value) { return bytes_of(htonl(value)); }
Buffer port(std::uint16_t value) { return bytes_of(htons(value)); }

Buffer tuple(std::uint16_t type, const FlowTuple& flow) {
  return attribute(type,
                   attribute(CTA_TUPLE_IP, attribute(CTA_IP_V4_SRC, bytes_of(flow.source.bytes)) +
                                               attribute(CTA_IP_V4_DST, bytes_of(flow.destination.bytes))) +
                       attribute(CTA_TUPLE_PROTO, attribute(CTA_PROTO_NUM, bytes_of(flow.protocol)) +
                                                      attribute(CTA_PROTO_SRC_PORT, port(flow.source_port)) +
                                                      attribute(CTA_PROTO_DST_PORT, port(flow.destination_port))));
}

Buffer told(const Connection& connection, const Buffer& more = {}) {
  const nfgenmsg header{.nfgen_family = AF_INET, .version = NFNETLINK_V0, .res_id = 0};
  return bytes_of(header) + tuple(CTA_TUPLE_ORIG, connection.original) + tuple(CTA_TUPLE_REPLY, connection.reply) +
         attribute(CTA_STATUS, number(connection.status)) + more;
}

Message message(int kind, const Buffer& payload) {
  return {.type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | kind), .payload = payload};
}

TEST(Conntrack, ReadsWhatTheKernelTells) {
  auto expected = masqueraded();
  const auto state = attribute(
      CTA_PROTOINFO, attribute(CTA_PROTOINFO_TCP, attribute(CTA_PROTOINFO_TCP_STATE, bytes_of(kEstablished))));
  const auto payload = told(expected, attribute(CTA_TIMEOUT, number(3600)) + state);
  auto seen = parse_connection(message(IPCTNL_MSG_CT_NEW, payload));
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->gone);
  EXPECT_EQ(seen->connection, expected);
  seen = parse_connection(message(IPCTNL_MSG_CT_DELETE, payload));
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->gone);

  const auto marked =
      told(expected, attribute(CTA_MARK, number(7)) + attribute(CTA_ZONE, port(3)) + attribute(CTA_HELP, {}));
  seen = parse_connection(message(IPCTNL_MSG_CT_NEW, marked));
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->connection.mark, 7U);
  EXPECT_EQ(seen->connection.zone, 3U);
  EXPECT_TRUE(seen->connection.is_altered);
}

TEST(Conntrack, PassesOverWhatItDoesNotKnow) {
  auto icmp = masqueraded();
  icmp.original.protocol = IPPROTO_ICMP;
  EXPECT_FALSE(parse_connection(message(IPCTNL_MSG_CT_NEW, told(icmp))));
  EXPECT_FALSE(parse_connection(message(IPCTNL_MSG_CT_GET, told(masqueraded()))));
  EXPECT_FALSE(parse_connection({.type = NFNL_SUBSYS_NFTABLES << 8, .payload = {}}));
  auto cut = told(masqueraded());
  for (std::size_t size = 0; size < 40; ++size) {
    const Buffer part(cut.begin(), cut.begin() + static_cast<long>(size));
    EXPECT_FALSE(parse_connection(message(IPCTNL_MSG_CT_NEW, part))) << size;
  }
}

TEST(Shortcut, IsForPlainConnectionsOfAClat) {
  const auto wanted = spec();
  const auto* clat = shortcut_for(wanted, masqueraded());
  ASSERT_NE(clat, nullptr);
  EXPECT_EQ(clat->tun, 9);
  auto datagrams = masqueraded();
  datagrams.original.protocol = datagrams.reply.protocol = IPPROTO_UDP;
  datagrams.tcp_state.reset();
  EXPECT_NE(shortcut_for(wanted, datagrams), nullptr);
}

TEST(Shortcut, IsForWhatIsMappedOneToOne) {
  auto mapped = masqueraded();
  mapped.original.source = mapped.reply.destination = address("192.168.9.7");
  mapped.reply.destination_port = mapped.original.source_port;
  EXPECT_NE(shortcut_for(spec(), mapped), nullptr);
  mapped.original.source = mapped.reply.destination = address("192.168.8.7");
  EXPECT_EQ(shortcut_for(spec(), mapped), nullptr) << "outside the range";
}

TEST(Shortcut, IsNotForOthers) {
  const struct {
    const char* what;
    void (*change)(Connection&);
  } cases[] = {
      {"not assured", [](Connection& c) { c.status &= ~static_cast<std::uint32_t>(IPS_ASSURED); }},
      {"DNAT", [](Connection& c) { c.status |= IPS_DST_NAT; }},
      {"another peer", [](Connection& c) { c.reply.source = address("198.51.100.2"); }},
      {"another port of the peer", [](Connection& c) { c.reply.source_port = 80; }},
      {"sequence numbers that are adjusted", [](Connection& c) { c.status |= IPS_SEQ_ADJUST; }},
      {"a helper by rule", [](Connection& c) { c.status |= IPS_HELPER; }},
      {"dying", [](Connection& c) { c.status |= IPS_DYING; }},
      {"a flowtable's", [](Connection& c) { c.status |= 1U << 14; }},
      {"a helper", [](Connection& c) { c.is_altered = true; }},
      {"a mark", [](Connection& c) { c.mark = 1; }},
      {"a zone", [](Connection& c) { c.zone = 1; }},
      {"a short timeout", [](Connection& c) { c.timeout = std::chrono::seconds(10); }},
      {"an unknown timeout", [](Connection& c) { c.timeout.reset(); }},
      {"closing", [](Connection& c) { c.tcp_state = kFinWait; }},
      {"an unknown state", [](Connection& c) { c.tcp_state.reset(); }},
      {"native IPv4", [](Connection& c) { c.reply.destination = address("203.0.113.9"); }},
      {"the router's own",
       [](Connection& c) {
         c.original.source = c.reply.destination;
         c.original.source_port = c.reply.destination_port;
       }},
  };
  for (const auto& [what, change] : cases) {
    auto connection = masqueraded();
    change(connection);
    EXPECT_EQ(shortcut_for(spec(), connection), nullptr) << what;
  }
}

Buffer route(std::uint8_t type, const Buffer& attributes) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_type = type;
  return bytes_of(header) + attributes;
}

TEST(LanRoute, IsTheHostItselfOrARouter) {
  const auto host = address("192.168.7.2"), router = address("192.168.7.9");
  const auto device = attribute(RTA_OIF, bytes_of(5));
  const auto read = [&](const Buffer& payload) {
    return parse_lan_route({.type = RTM_NEWROUTE, .payload = payload}, host);
  };
  EXPECT_EQ(read(route(RTN_UNICAST, device)), (LanRoute{5, host}));
  EXPECT_EQ(read(route(RTN_UNICAST, device + attribute(RTA_GATEWAY, bytes_of(router.bytes)))), (LanRoute{5, router}));
  EXPECT_FALSE(read(route(RTN_LOCAL, device)));
  EXPECT_FALSE(read(route(RTN_UNICAST, {})));
  EXPECT_FALSE(read(route(RTN_UNICAST, device + attribute(RTA_VIA, Buffer(18))))) << "IPv4 by a router of IPv6";
  EXPECT_FALSE(read({1, 2, 3}));
}

}  // namespace
}  // namespace clat::system
