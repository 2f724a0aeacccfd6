// Whether the CLAT's address is its own among the neighbours of the uplink, and what they are told of it unasked.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "core/net/clat_address.hpp"
#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MacAddress kMac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kOtherMac{{2, 0, 0, 0, 0, 9}};
constexpr MacAddress kNeighbour{{2, 0, 0, 0, 0xba, 0xd0}};

class PresenceTest : public testing::Test {
 protected:
  PresenceTest() {
    bench.link("up0", 2);
    bench.address(2, "fe80::2", false);
    bench.address(2, "2001:db8::1");
  }
  void see(const MacAddress& mac, bool carrier = true, LinkLayer layer = LinkLayer::ethernet) {
    bench.handle(LinkSeen{Link{2, "up0", true, carrier, 1500, layer, mac}});
  }
  void claim(const Ipv6Address& address, const MacAddress& sender, std::optional<MacAddress> mac = {}) {
    bench.handle(AddressContested{"up0", {NeighbourMessage::Kind::advertisement, address, mac}, sender});
  }
  void wants(const Ipv6Address& address, std::optional<Nonce> nonce, const MacAddress& sender) {
    bench.handle(AddressContested{"up0", {NeighbourMessage::Kind::probe, address, {}, nonce}, sender});
  }
  bool optimistic() { return std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)).optimistic; }
  const Clat& clat() { return bench.app.world().clats.at("up0"); }
  std::size_t count(std::string_view event) {
    return static_cast<std::size_t>(std::ranges::count(bench.events_of("up0"), event));
  }
  // Since it was asked last.
  std::size_t advertised() { return std::exchange(bench.edge.advertised, {}).size(); }
  Ipv6Address v6() { return clat().addresses->v6; }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(PresenceTest, IsAdvertisedAfterASilentSecondAndThenNoMore) {
  bench.load(config);
  bench.advance(milliseconds(999));
  EXPECT_EQ(advertised(), 0u);
  bench.advance(milliseconds(1));
  EXPECT_EQ(bench.edge.advertised, (std::vector<AddressClaim>{{*Ipv6Address::parse("fe80::2"), v6(), kMac}}));
  bench.advance(hours(24));
  EXPECT_EQ(advertised(), 3u);
}

TEST_F(PresenceTest, WithoutALinkLocalAddressItSpeaksForItself) {
  bench.no_address(2, "fe80::2");
  bench.load(config);
  bench.advance(seconds(1));
  ASSERT_EQ(bench.edge.advertised.size(), 1u);
  EXPECT_EQ(bench.edge.advertised[0].source, v6());
}

TEST_F(PresenceTest, ANewMacIsAdvertisedAtOnceAndBehindTheMapEntry) {
  bench.load(config);
  bench.advance(seconds(10));
  EXPECT_EQ(advertised(), 3u);
  see(kOtherMac);
  ASSERT_EQ(bench.edge.advertised.size(), 1u);
  EXPECT_EQ(bench.edge.advertised[0].mac, kOtherMac);
  bench.advance(seconds(10));
  EXPECT_EQ(advertised(), 3u);
}

TEST_F(PresenceTest, ADumpThatKnowsANewMacCountsAsWell) {
  bench.load(config);
  bench.advance(seconds(10));
  advertised();
  auto kernel = bench.app.world().kernel;
  auto link = *kernel.links.find(2);
  link.mac = kOtherMac;
  kernel.links.put(link);
  bench.handle(KernelDumped{kernel, true});
  EXPECT_EQ(advertised(), 1u);
}

TEST_F(PresenceTest, TheCarriersReturnIsAdvertisedAtOnce) {
  bench.load(config);
  bench.advance(seconds(10));
  advertised();
  see(kMac, false);
  bench.advance(seconds(10));
  EXPECT_EQ(advertised(), 0u);
  see(kMac);
  EXPECT_EQ(advertised(), 1u);
}

TEST_F(PresenceTest, WhatChangesNothingForTheNeighboursIsNotAdvertised) {
  bench.load(config);
  bench.advance(seconds(10));
  advertised();
  bench.link("up0", 2, true, true, 1400);
  config.interfaces[0].fast_path = config::FastPathMode::off;
  bench.load(config);
  bench.advance(hours(1));
  EXPECT_EQ(advertised(), 0u);
}

TEST_F(PresenceTest, ANewAddressHasItsOwnSilence) {
  bench.load(config);
  bench.advance(seconds(10));
  const auto before = v6();
  advertised();
  bench.address(2, "2001:db8:1::1");
  bench.no_address(2, "2001:db8::1");
  ASSERT_NE(v6(), before);
  EXPECT_EQ(advertised(), 0u);
  bench.advance(seconds(1));
  ASSERT_EQ(bench.edge.advertised.size(), 1u);
  EXPECT_EQ(bench.edge.advertised[0].target, v6());
}

TEST_F(PresenceTest, IsUsedAtOnceAndAskedForOnce) {
  bench.load(config);
  EXPECT_TRUE(clat().up);
  ASSERT_EQ(bench.edge.probed.size(), 1u);
  EXPECT_EQ(bench.edge.probed[0].target, v6());
  EXPECT_TRUE(optimistic());
  bench.advance(milliseconds(999));
  EXPECT_TRUE(optimistic());
  bench.advance(milliseconds(1));
  EXPECT_FALSE(optimistic());
  bench.advance(hours(24));
  EXPECT_EQ(bench.edge.probed.size(), 1u);
  EXPECT_EQ(count("address.conflict"), 0u);
}

TEST_F(PresenceTest, AnotherIsTakenWhenANeighbourHasIt) {
  bench.load(config);
  const auto before = v6();
  claim(before, kNeighbour);
  EXPECT_NE(v6(), before);
  const auto* conflict = bench.last("address.conflict", "up0");
  ASSERT_NE(conflict, nullptr);
  EXPECT_EQ(field(*conflict, "v6"), before.text());
  EXPECT_EQ(field(*conflict, "mac"), "02:00:00:00:ba:d0");
  EXPECT_EQ(field(*conflict, "reason_code"), "address-conflict");
  EXPECT_EQ(field(*bench.last("clat.down", "up0"), "reason_code"), "address-conflict");
  EXPECT_TRUE(clat().up);
  ASSERT_EQ(bench.edge.probed.size(), 2u);
  EXPECT_EQ(bench.edge.probed[1].target, v6());
  EXPECT_NE(bench.edge.probed[1].nonce, bench.edge.probed[0].nonce);
  bench.advance(seconds(5));
  EXPECT_FALSE(optimistic());
  for (const auto& each : bench.edge.advertised) EXPECT_EQ(each.target, v6());
}

TEST_F(PresenceTest, AlsoLongAfterItWasOurs) {
  bench.load(config);
  bench.advance(hours(1));
  const auto before = v6();
  claim(before, kNeighbour);
  EXPECT_NE(v6(), before);
}

TEST_F(PresenceTest, TwoThatWantItBothGiveWay) {
  bench.load(config);
  const auto before = v6();
  wants(before, Nonce{9, 9, 9, 9, 9, 9}, kNeighbour);
  EXPECT_NE(v6(), before);
}

TEST_F(PresenceTest, WhatIsOursIsNotLeftToWhoeverWantsIt) {
  bench.load(config);
  bench.advance(seconds(2));
  const auto before = v6();
  wants(before, Nonce{9, 9, 9, 9, 9, 9}, kNeighbour);
  EXPECT_EQ(v6(), before);
  EXPECT_EQ(count("address.conflict"), 0u);
}

TEST_F(PresenceTest, OurOwnWordsComeBack) {
  bench.load(config);
  const auto before = v6();
  claim(before, kMac);
  claim(before, kNeighbour, kMac);  // repeated by somebody
  wants(before, bench.edge.probed[0].nonce, kNeighbour);
  wants(before, Nonce{9, 9, 9, 9, 9, 9}, kMac);
  wants(before, std::nullopt, kMac);
  claim(*Ipv6Address::parse("2001:db8::77"), kNeighbour);
  EXPECT_EQ(v6(), before);
  EXPECT_EQ(count("address.conflict"), 0u);
}

TEST_F(PresenceTest, ANeighbourThatHasEveryAddressMovesItEverLessOften) {
  bench.load(config);
  std::size_t moves = 0;
  for (int i = 0; i < 3600; ++i) {
    const auto before = v6();
    claim(before, kNeighbour);
    claim(before, kNeighbour);
    bench.advance(seconds(1));
    moves += v6() != before ? 1 : 0;
  }
  EXPECT_GE(moves, 5u);
  EXPECT_LE(moves, 10u);
  EXPECT_LE(count("address.conflict"), moves + 1);
}

TEST_F(PresenceTest, PeaceIsForgiving) {
  bench.load(config);
  for (int i = 0; i < 5; ++i) {
    bench.advance(hours(1));
    const auto before = v6();
    claim(before, kNeighbour);
    EXPECT_NE(v6(), before) << "at once, the last time is long ago";
  }
}

TEST_F(PresenceTest, AFixedAddressIsKeptAndReportedOnce) {
  config.interfaces[0].ipv6_address = Ipv6Address::parse("2001:db8::c1a7");
  bench.load(config);
  for (int i = 0; i < 10; ++i) claim(v6(), kNeighbour);
  EXPECT_EQ(v6(), *Ipv6Address::parse("2001:db8::c1a7"));
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(count("address.conflict"), 1u);
  bench.advance(hours(1));
  EXPECT_TRUE(optimistic()) << "the neighbour was first";
  EXPECT_EQ(advertised(), 0u);
  bench.load(config);
  EXPECT_EQ(bench.edge.probed.size(), 2u) << "a reload asks again";
  bench.advance(seconds(2));
  EXPECT_FALSE(optimistic());
}

TEST_F(PresenceTest, AnAdoptedAddressIsOurs) {
  RecordSpec record{.uplink = "up0",
                    .uplink_ifindex = 2,
                    .tun = "v4-up0",
                    .metric = 2048,
                    .v4 = *Ipv4Address::parse("192.0.0.4"),
                    .v6 = make_clat_ipv6({*Ipv6Address::parse("2001:db8::"), 64}, *Ipv4Address::parse("192.0.0.4"),
                                         *config.interfaces[0].nat64_prefix, 7),
                    .prefix = *config.interfaces[0].nat64_prefix};
  bench.handle(RecordsFound{{record}});
  bench.load(config);
  ASSERT_TRUE(clat().up);
  EXPECT_EQ(v6(), record.v6);
  EXPECT_FALSE(optimistic());
  bench.advance(seconds(10));
  EXPECT_TRUE(bench.edge.probed.empty());
}

TEST_F(PresenceTest, AnotherLinkIsAskedAnew) {
  bench.load(config);
  bench.advance(seconds(10));
  const auto before = v6();
  bench.unlink(2);
  bench.link("up0", 3);
  bench.address(3, "2001:db8::1");
  EXPECT_EQ(v6(), before);
  EXPECT_EQ(bench.edge.probed.size(), 2u);
  EXPECT_TRUE(optimistic());
}

TEST_F(PresenceTest, AProbeWhoseAnswerIsLostIsSentAgain) {
  bench.load(config);
  see(kMac, false);
  bench.advance(seconds(10));
  see(kMac);
  EXPECT_EQ(bench.edge.probed.size(), 2u);
  EXPECT_EQ(advertised(), 0u);
  bench.advance(seconds(1));
  EXPECT_EQ(advertised(), 1u);
}

TEST_F(PresenceTest, NoNeighboursOnALinkWithoutLinkLayerAddresses) {
  see({}, true, LinkLayer::raw_ip);
  bench.load(config);
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
  bench.advance(hours(1));
  EXPECT_EQ(advertised(), 0u);
  EXPECT_FALSE(bench.edge.has("up0", Part::listen));
}

}  // namespace
}  // namespace clat::plan::test
