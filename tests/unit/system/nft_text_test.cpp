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

}  // namespace
}  // namespace clat::system
