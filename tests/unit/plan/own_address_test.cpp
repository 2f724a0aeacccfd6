// A CLAT never takes an address that the host has, on whatever port, from the start or later.
#include <gtest/gtest.h>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

class OwnAddressTest : public testing::Test {
 protected:
  OwnAddressTest() {
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
    bench.link("lan0", 3);
  }
  void fix_ipv6(const char* address) {
    config.interfaces[0].ipv6_address = Ipv6Address::parse(address);
    bench.load(config);
  }
  void expect_failed(const std::string& address) {
    const auto* failed = bench.last("clat.failed", "up0");
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(field(*failed, "reason_code"), "address-in-use");
    EXPECT_NE(field(*failed, "reason").find(address + " is in use on this host"), std::string::npos);
    EXPECT_FALSE(clat().up);
    EXPECT_FALSE(bench.edge.has("up0", Part::announce));
    EXPECT_FALSE(bench.edge.has("up0", Part::fast_path));
  }
  const Clat& clat() { return bench.app.world().clats.at("up0"); }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(OwnAddressTest, AFixedOneOfTheUplinkItself) {
  fix_ipv6("2001:db8::1");
  expect_failed("2001:db8::1");
  EXPECT_TRUE(bench.edge.is_empty());
}

TEST_F(OwnAddressTest, AFixedOneOfAnotherPortUntilThatGivesItUp) {
  bench.address(3, "2001:db8:1::1");
  fix_ipv6("2001:db8:1::1");
  expect_failed("2001:db8:1::1");
  bench.no_address(3, "2001:db8:1::1");
  EXPECT_TRUE(clat().up);
}

TEST_F(OwnAddressTest, AFixedOneThatIsNotUsableYet) {
  bench.address(3, "2001:db8:1::1", false);
  fix_ipv6("2001:db8:1::1");
  expect_failed("2001:db8:1::1");
}

TEST_F(OwnAddressTest, AFixedOneThatTheHostGetsLater) {
  fix_ipv6("2001:db8::99");
  ASSERT_TRUE(clat().up);
  for (const int ifindex : {2, 3}) {
    bench.address(ifindex, "2001:db8::99");
    expect_failed("2001:db8::99");
    bench.no_address(ifindex, "2001:db8::99");
    EXPECT_TRUE(clat().up);
  }
}

TEST_F(OwnAddressTest, ARandomOneThatTheHostGetsLaterIsGivenUpForAnother) {
  bench.load(config);
  const auto before = clat().addresses->v6;
  bench.address(3, before.text());
  EXPECT_NE(clat().addresses->v6, before);
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(bench.last("clat.failed"), nullptr);
}

TEST_F(OwnAddressTest, ARandomChoiceNeverHitsOne) {
  bench.load(config);
  const auto first = clat().addresses->v6;
  Bench same;  // of the same seed
  same.link("up0", 2);
  same.address(2, "2001:db8::1");
  same.address(2, first.text());
  same.load(config);
  EXPECT_NE(same.app.world().clats.at("up0").addresses->v6, first);
}

TEST_F(OwnAddressTest, AFixedIpv4OneFromTheStartOrLater) {
  const Ipv4Address v4{{192, 0, 2, 9}};
  config.interfaces[0].ipv4_address = v4;
  bench.handle(Ipv4Seen{3, v4});
  bench.load(config);
  expect_failed("192.0.2.9");
  bench.handle(Ipv4Gone{3, v4});
  EXPECT_TRUE(clat().up);
  bench.notes.clear();
  bench.handle(Ipv4Seen{3, v4});
  expect_failed("192.0.2.9");
}

}  // namespace
}  // namespace clat::plan::test
