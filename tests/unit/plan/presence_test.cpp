// What the neighbours of the uplink are told of the CLAT's address without asking.
#include <gtest/gtest.h>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MacAddress kMac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kOtherMac{{2, 0, 0, 0, 0, 9}};

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
  // Since it was asked last.
  std::size_t advertised() { return std::exchange(bench.edge.advertised, {}).size(); }
  Ipv6Address v6() { return bench.app.world().clats.at("up0").addresses->v6; }

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
