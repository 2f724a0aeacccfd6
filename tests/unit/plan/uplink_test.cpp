// Which addresses an uplink offers a CLAT, and how the way to the NAT64 is asked for.
#include <gtest/gtest.h>

#include "core/net/clat_address.hpp"
#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Ipv6Prefix prefix(const char* text) { return *Ipv6Prefix::parse(text); }

class UplinkTest : public testing::Test {
 protected:
  UplinkTest() { bench.link("up0", 2); }
  void address(const char* v6, std::uint8_t length = 64, bool deprecated = false) {
    bench.handle(
        Ipv6Seen{2, {.address = *Ipv6Address::parse(v6), .length = length, .usable = true, .deprecated = deprecated}});
  }
  void load() { bench.load(config); }
  const Clat& clat() { return bench.app.world().clats.at("up0"); }
  Ipv6Address v6() { return clat().addresses->v6; }
  void expect_waiting(const std::string& code, const std::string& reason) {
    const auto* waiting = bench.last("clat.waiting", "up0");
    ASSERT_NE(waiting, nullptr);
    EXPECT_EQ(field(*waiting, "reason_code"), code);
    EXPECT_EQ(field(*waiting, "reason"), reason);
    EXPECT_FALSE(clat().up);
  }

  config::Config config = config_of(1);
  config::Interface& up0 = config.interfaces[0];
  Bench bench;
};

TEST_F(UplinkTest, TheWayIsAskedAsTheClatsOwnPacketsWouldGo) {
  up0.mark = 0x66;
  address("2001:db8::1");
  load();
  ASSERT_TRUE(clat().up);
  const auto host = *Ipv6Address::parse("2001:db8::1");
  const auto first = bench.edge.questions.front();
  EXPECT_EQ(first.destination, up0.nat64_prefix->address());
  EXPECT_EQ(first.mark, 0x66u);
  EXPECT_EQ(first.sources, (std::vector{prefix("2001:db8::/64").address, host}));
  EXPECT_EQ(bench.edge.questions.back().sources, (std::vector{v6(), host}));
}

TEST_F(UplinkTest, NewMarksAndSourcesAskAgain) {
  address("2001:db8::1");
  load();
  const auto asked = bench.edge.questions.size();
  up0.mark = 7;
  load();
  ASSERT_EQ(bench.edge.questions.size(), asked + 1);
  EXPECT_EQ(bench.edge.questions.back().mark, 7u);
}

TEST_F(UplinkTest, ADeprecatedSubnetIsLeftAtOnce) {
  address("2001:db8:1::1");
  load();
  ASSERT_TRUE(prefix("2001:db8:1::/64").contains(v6()));
  const auto old = v6();
  address("2001:db8:1::1", 64, true);
  EXPECT_EQ(v6(), old) << "there is no better one";
  address("2001:db8:2::1");
  EXPECT_TRUE(prefix("2001:db8:2::/64").contains(v6()));
  EXPECT_TRUE(clat().up);
  ASSERT_EQ(clat().retired.size(), 1u) << "its blackhole stays for a while";
  EXPECT_EQ(clat().retired[0].guard.v6, old);
}

TEST_F(UplinkTest, APreferredSubnetIsKeptWhenAnotherComes) {
  address("2001:db8:9::1");
  load();
  const auto before = v6();
  address("2001:db8:64::1");  // nearer to the NAT64 prefix, but that is no reason to break flows
  bench.advance(seconds(5));
  EXPECT_EQ(v6(), before);
}

TEST_F(UplinkTest, TheBestOfSeveralIsTaken) {
  address("fd00:1::1");
  address("2001:db8:9::1", 64, true);
  address("2001:db8:a000::1");
  address("2001:db8:64:ffff::1");
  load();
  EXPECT_TRUE(prefix("2001:db8:64:ffff::/64").contains(v6())) << v6().text();
}

TEST_F(UplinkTest, AUniqueLocalNat64WantsAUniqueLocalSource) {
  up0.nat64_prefix = *Nat64Prefix::parse("fd64::/96");
  address("2001:db8:1::1");
  address("fd00:1::1");
  load();
  EXPECT_TRUE(prefix("fd00:1::/64").contains(v6()));
}

TEST_F(UplinkTest, AUniqueLocalAddressThatCameFirstIsLeftAfterAMoment) {
  address("fd00:1::1");
  load();
  ASSERT_TRUE(prefix("fd00:1::/64").contains(v6()));
  address("2001:db8:1::1");
  EXPECT_TRUE(prefix("fd00:1::/64").contains(v6()));
  bench.advance(seconds(1));
  EXPECT_TRUE(prefix("2001:db8:1::/64").contains(v6()));
  EXPECT_TRUE(clat().up);
}

TEST_F(UplinkTest, AGlobalAddressThatComesAndGoesWithinThatMomentMovesNobody) {
  address("fd00:1::1");
  load();
  const auto before = v6();
  address("2001:db8:1::1");
  bench.advance(milliseconds(500));
  bench.no_address(2, "2001:db8:1::1");
  bench.advance(seconds(3));
  EXPECT_EQ(v6(), before);
}

TEST_F(UplinkTest, OfALongerSubnetOnlyItsOwnBitsAreUsed) {
  address("2001:db8::aa:0", 112);
  load();
  EXPECT_TRUE(prefix("2001:db8::aa:0/112").contains(v6()));
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(checksum_delta(v6(), clat().addresses->v4, *up0.nat64_prefix), 0);
  // The one neutral address is the host's now.
  const auto first = v6();
  bench.handle(Ipv6Seen{2, {.address = first, .length = 112, .usable = true}});
  EXPECT_NE(v6(), first);
  EXPECT_TRUE(prefix("2001:db8::aa:0/112").contains(v6()));
}

TEST_F(UplinkTest, ASubnetThatIsFullIsSaidToBe) {
  for (const auto* taken : {"1", "2", "3", "4", "5", "6", "7"})
    address(("2001:db8::" + std::string(taken)).c_str(), 125);
  load();
  const auto* failed = bench.last("clat.failed", "up0");
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(field(*failed, "reason_code"), "subnet-exhausted");
}

TEST_F(UplinkTest, ASubnetWithoutRoomIsNotUsed) {
  for (const std::uint8_t length : {126, 127, 128}) {
    Bench fresh;
    fresh.link("up0", 2);
    fresh.handle(Ipv6Seen{2, {.address = *Ipv6Address::parse("2001:db8::1"), .length = length, .usable = true}});
    fresh.load(config);
    const auto* waiting = fresh.last("clat.waiting", "up0");
    ASSERT_NE(waiting, nullptr);
    EXPECT_EQ(field(*waiting, "reason_code"), "subnet-too-small");
    EXPECT_NE(field(*waiting, "next").find("ipv6-source"), std::string::npos);
  }
}

TEST_F(UplinkTest, ASubnetWithRoomBesideOneWithoutIsUsed) {
  address("2001:db8::1", 128);
  address("2001:db8:5::1", 64);
  load();
  EXPECT_TRUE(prefix("2001:db8:5::/64").contains(v6()));
}

TEST_F(UplinkTest, AFixedAddressNeedsNoneOnTheUplink) {
  up0.ipv6_address = *Ipv6Address::parse("2001:db8:77::1");
  load();
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(bench.edge.questions.front().sources, std::vector{*up0.ipv6_address});
}

TEST_F(UplinkTest, ALinkLocalUplinkWaitsWithoutASource) {
  load();
  expect_waiting("no-address", "no global IPv6 address");
}

TEST_F(UplinkTest, ADelegatedPrefixServesALinkLocalUplink) {
  up0.ipv6_source = prefix("2001:db8:1:c1a7::/64");
  load();
  EXPECT_TRUE(clat().up);
  EXPECT_TRUE(prefix("2001:db8:1:c1a7::/64").contains(v6()));
}

class DelegatedTest : public UplinkTest {
 protected:
  DelegatedTest() {
    bench.link("br-lan", 3);
    up0.ipv6_source = std::string("br-lan");
  }
  void lan(const char* v6, std::uint8_t length, bool deprecated = false) {
    bench.handle(
        Ipv6Seen{3, {.address = *Ipv6Address::parse(v6), .length = length, .usable = true, .deprecated = deprecated}});
  }
};

TEST_F(DelegatedTest, WaitsForThePrefix) {
  load();
  expect_waiting("no-delegated-prefix", "no IPv6 prefix of /64 or shorter on br-lan");
  lan("2001:db8:1:10::1", 60);
  EXPECT_TRUE(clat().up);
}

TEST_F(DelegatedTest, TakesAFreeSubnetOfIt) {
  bench.link("br-guest", 4);
  bench.handle(Ipv6Seen{4, {.address = *Ipv6Address::parse("2001:db8:1:1f::1"), .length = 64, .usable = true}});
  lan("2001:db8:1:10::1", 60);
  load();
  EXPECT_TRUE(prefix("2001:db8:1:1e::/64").contains(v6())) << v6().text();
}

TEST_F(DelegatedTest, SharesTheOnlySubnetThatThereIs) {
  lan("2001:db8:1:10::1", 64);
  load();
  EXPECT_TRUE(prefix("2001:db8:1:10::/64").contains(v6()));
  EXPECT_NE(v6(), *Ipv6Address::parse("2001:db8:1:10::1"));
}

TEST_F(DelegatedTest, FollowsItWhenItChanges) {
  lan("2001:db8:1:10::1", 60);
  load();
  lan("2001:db8:1:10::1", 60, true);
  lan("2001:db8:2:20::1", 60);
  EXPECT_TRUE(prefix("2001:db8:2:20::/60").contains(v6())) << v6().text();
  EXPECT_TRUE(clat().up);
  bench.no_address(3, "2001:db8:2:20::1");
  EXPECT_TRUE(prefix("2001:db8:1:10::/60").contains(v6()));
  bench.no_address(3, "2001:db8:1:10::1");
  EXPECT_FALSE(clat().up);
}

TEST_F(UplinkTest, ADefaultRouteOfOthersWithOurMetricIsTheOnlyThingMissing) {
  bench.edge.failing[{"up0", Part::route}] = Error{"add", EEXIST};
  address("2001:db8::1");
  load();
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(bench.last("clat.failed"), nullptr);
  const auto* taken = bench.last("route.taken", "up0");
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(field(*taken, "metric"), "2048");

  bench.edge.failing.clear();
  bench.handle(Ipv4DefaultRouteChanged{2048});
  EXPECT_TRUE(bench.edge.has("up0", Part::route));
  EXPECT_NE(bench.last("route.restored", "up0"), nullptr);
}

class NativeTest : public UplinkTest {
 protected:
  NativeTest() { address("2001:db8::1"); }
  void native(bool there) {
    bench.edge.native_ipv4 = there;
    bench.handle(Ipv4DefaultRouteChanged{100});
  }
  void ipv4(const char* text) { bench.handle(Ipv4Seen{2, {.address = *Ipv4Address::parse(text)}}); }
};

TEST_F(NativeTest, AnUplinkWithIpv4OfItsOwnGetsNoClatUntilThatGoes) {
  ipv4("198.51.100.2");
  bench.edge.native_ipv4 = true;
  load();
  expect_waiting("native-ipv4", "the uplink has IPv4 of its own");
  EXPECT_FALSE(bench.edge.has("up0", Part::tun));
  native(false);
  EXPECT_TRUE(clat().up);
}

TEST_F(NativeTest, ItComesLaterAndGoes) {
  load();
  ASSERT_TRUE(clat().up);
  ipv4("198.51.100.2");
  native(true);
  EXPECT_FALSE(clat().up);
  EXPECT_FALSE(bench.edge.has("up0", Part::tun));
  EXPECT_EQ(field(*bench.last("clat.down", "up0"), "reason_code"), "native-ipv4");
  native(false);
  EXPECT_TRUE(clat().up);
}

TEST_F(NativeTest, AlwaysMeansAlways) {
  up0.when = config::When::always;
  ipv4("198.51.100.2");
  bench.edge.native_ipv4 = true;
  load();
  EXPECT_TRUE(clat().up);
}

TEST_F(NativeTest, AnAddressOfNoDhcpServerIsNoIpv4) {
  ipv4("169.254.7.7");
  bench.edge.native_ipv4 = true;
  load();
  EXPECT_TRUE(clat().up);
}

TEST_F(UplinkTest, ALongNamesTunHasItsLastTwelveCharacters) {
  EXPECT_EQ(config::tun_name("wwp0s20f0u3i12"), "v4-p0s20f0u3i12");
  EXPECT_EQ(config::tun_name("abcdefghijkl"), "v4-abcdefghijkl");
}

}  // namespace
}  // namespace clat::plan::test
