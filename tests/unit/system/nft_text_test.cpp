// The rules of nftables, as text.
#include "supervisor/system/nft_text.hpp"

#include <gtest/gtest.h>

namespace clat::system {
namespace {

model::FilterSpec confined(const char* prefix, bool allow_private_ipv4 = false) {
  return {.means = model::FilterMeans::nftables,
          .filter = {.by = {.uplink = "wan0",
                            .tun_ifindex = 17,
                            .v4 = *Ipv4Address::parse("192.0.0.4"),
                            .v6 = *Ipv6Address::parse("2001:db8::c1a7"),
                            .prefix = *Nat64Prefix::parse(prefix),
                            .allow_private_ipv4 = allow_private_ipv4}}};
}

TEST(NftText, OfWhatClatdMayWrite) {
  EXPECT_EQ(filter_text(confined("64:ff9b::/96")),
            R"(add table inet clatvisor_17
add counter inet clatvisor_17 drops
add counter inet clatvisor_17 connected
add chain inet clatvisor_17 clatd { type filter hook prerouting priority -300; policy accept; }
flush chain inet clatvisor_17 clatd
add rule inet clatvisor_17 clatd meta iif != 17 accept
add rule inet clatvisor_17 clatd ip6 nexthdr { 0, 43, 60 } counter name drops drop
add rule inet clatvisor_17 clatd frag nexthdr { 0, 43, 44, 60 } counter name drops drop
add rule inet clatvisor_17 clatd ip6 saddr 2001:db8::c1a7 ip6 daddr 64:ff9b::/96 accept
add rule inet clatvisor_17 clatd ip saddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, 255.255.255.255, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 192.0.0.4 } counter name drops drop
add rule inet clatvisor_17 clatd ip daddr 192.0.0.4 accept
add rule inet clatvisor_17 clatd counter name drops drop
)");
}

// RFC 6052 §3.1 is about the Well-Known Prefix only.
TEST(NftText, PrivatePeersAreRefusedUnderTheWellKnownPrefixOnly) {
  const auto refuses_private = [](const model::FilterSpec& spec) {
    return filter_text(spec).contains(
        " 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 192.0.0.4 } counter name drops drop\n");
  };
  EXPECT_TRUE(refuses_private(confined("64:ff9b::/96")));
  EXPECT_FALSE(refuses_private(confined("64:ff9b::/96", true)));
  EXPECT_FALSE(refuses_private(confined("2001:db8:64::/96")));
}

TEST(NftText, OfWhatIsReachedByOtherInterfaces) {
  auto spec = confined("64:ff9b::/96");
  for (const char* subnet :
       {"10.0.0.0/8", "192.168.7.0/24", "10.1.0.0/16", "192.168.6.0/24", "10.0.0.0/24", "9.9.9.9/32"}) {
    spec.connected.push_back(*Ipv4Prefix::parse(subnet));
  }
  EXPECT_TRUE(filter_text(spec).contains(
      "\nadd rule inet clatvisor_17 clatd ip saddr { 9.9.9.9/32, 10.0.0.0/8, 192.168.6.0/24, 192.168.7.0/24 } ip daddr "
      "192.0.0.4 counter name connected drop\n"
      "add rule inet clatvisor_17 clatd ip daddr 192.0.0.4 accept\n"));
}

TEST(NftText, OfHostsThatAreMappedOneToOne) {
  auto spec = confined("2001:db8:64::/96");
  spec.filter.by.ranges = {*RangeMapping::parse("192.168.7.0/24=2001:db8:1:c1a7::/96"),
                           *RangeMapping::parse("10.0.0.0/8=2001:db8:1:c1a8::/64")};
  spec.connected = {*Ipv4Prefix::parse("192.168.7.0/24")};
  const auto text = filter_text(spec);
  EXPECT_TRUE(text.contains(R"(
add rule inet clatvisor_17 clatd ip6 saddr 2001:db8::c1a7 ip6 daddr 2001:db8:64::/96 accept
add rule inet clatvisor_17 clatd ip6 saddr & ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00 == 2001:db8:1:c1a7::c0a8:700 ip6 daddr 2001:db8:64::/96 accept
add rule inet clatvisor_17 clatd ip6 saddr & ffff:ffff:ffff:ffff:ffff:0:ff:ffff == 2001:db8:1:c1a8:a:: ip6 daddr 2001:db8:64::/96 accept
)"));
  EXPECT_TRUE(text.contains(R"(
add rule inet clatvisor_17 clatd ip saddr { 10.0.0.0/8, 192.168.7.0/24 } counter name drops drop
add rule inet clatvisor_17 clatd ip saddr { 192.168.7.0/24 } ip daddr { 192.0.0.4, 10.0.0.0/8, 192.168.7.0/24 } counter name connected drop
add rule inet clatvisor_17 clatd ip daddr { 192.0.0.4, 10.0.0.0/8, 192.168.7.0/24 } accept
)"));
}

TEST(NftText, WhatIsMappedOneToOneIsNotMasqueraded) {
  const model::LanSpec spec{.uplink = "wan0",
                            .tun = 17,
                            .tun_name = "v4-wan0",
                            .wishes = {.masquerade = true},
                            .unmasqueraded = {*Ipv4Prefix::parse("192.168.7.0/24"), *Ipv4Prefix::parse("10.0.0.0/8")}};
  EXPECT_TRUE(lan_text(spec).contains(
      "srcnat meta nfproto ipv4 meta oif 17 ip saddr != { 10.0.0.0/8, 192.168.7.0/24 } masquerade\n"));
}

TEST(NftText, OfWhatServesALan) {
  model::LanSpec spec{.uplink = "wan0", .tun = 17, .tun_name = "v4-wan0", .wishes = {.masquerade = true}};
  const std::string head =
      "add table inet clatvisor_lan_17\ndelete table inet clatvisor_lan_17\nadd table inet clatvisor_lan_17\n";
  const std::string masquerade =
      "add chain inet clatvisor_lan_17 srcnat { type nat hook postrouting priority srcnat + 20; policy accept; }\n"
      "add rule inet clatvisor_lan_17 srcnat meta nfproto ipv4 meta oif 17 masquerade\n";
  EXPECT_EQ(lan_text(spec), head + masquerade);
  spec.wishes = {.masquerade = true, .clamp_mss = true};
  EXPECT_EQ(lan_text(spec),
            head + masquerade +
                "add chain inet clatvisor_lan_17 mss { type filter hook forward priority mangle; policy accept; }\n"
                "add rule inet clatvisor_lan_17 mss meta nfproto ipv4 meta oif 17 tcp flags syn tcp option maxseg size "
                "set rt mtu\n"
                "add rule inet clatvisor_lan_17 mss meta nfproto ipv4 meta iif 17 tcp flags syn tcp option maxseg size "
                "set rt mtu\n");
}

TEST(NftText, NamesOfTablesAreReadBack) {
  for (const RuleTable table : {RuleTable{RuleTable::For::clatd, 7}, RuleTable{RuleTable::For::lan, 123456}}) {
    EXPECT_EQ(parse_table_name(name(table)), table);
  }
  for (const char* other : {"", "clatvisor", "clatvisor_", "clatvisor_0", "clatvisor_07", "clatvisor_-1",
                            "clatvisor_7x", "clatvisor_lan_", "clatvisor_lan", "clatvisor_99999999999", "filter"}) {
    EXPECT_EQ(parse_table_name(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace clat::system
