// A router that dies without a word: the way to the NAT64 goes by another, and back.
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const Ipv6Address kFirst = *Ipv6Address::parse("fe80::1");
const Ipv6Address kSecond = *Ipv6Address::parse("fe80::2");

class DeadRouterTest : public testing::Test {
 protected:
  DeadRouterTest() {
    bench.edge.way_round = Route{kSecond, {}};
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  void sees(const Ipv6Address& router, bool answers) { bench.handle(NextHopSeen{"up0", router, answers}); }
  std::optional<Ipv6Address> next_hop() {
    return std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)).next_hop;
  }
  const ListenSpec& listen() { return std::get<ListenSpec>(*bench.edge.spec("up0", Part::listen)); }
  std::size_t count(std::string_view event) {
    return static_cast<std::size_t>(std::ranges::count(bench.events_of("up0"), event));
  }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(DeadRouterTest, OnlyItsDeathIsListenedFor) {
  EXPECT_EQ(listen().next_hops, std::vector{kFirst});
  EXPECT_FALSE(listen().recovering);
  bench.advance(hours(24));
  EXPECT_TRUE(bench.edge.asked_routers.empty());
}

TEST_F(DeadRouterTest, AnotherIsTakenAndItIsSaid) {
  sees(kFirst, false);
  EXPECT_EQ(next_hop(), kSecond);
  EXPECT_EQ(std::get<FilterSpec>(*bench.edge.spec("up0", Part::filter)).filter.by.next_hop, kSecond);
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
  EXPECT_EQ(count("clat.down"), 0u);
  const auto* failed = bench.last("nexthop.failed", "up0");
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(field(*failed, "router"), "fe80::1");
  EXPECT_EQ(field(*failed, "via"), "fe80::2");
  EXPECT_EQ(listen().next_hops, (std::vector{kFirst, kSecond}));
  EXPECT_TRUE(listen().recovering);
}

TEST_F(DeadRouterTest, ItIsTakenAgainWhenItAnswers) {
  sees(kFirst, false);
  sees(kFirst, true);
  EXPECT_EQ(next_hop(), kFirst);
  EXPECT_EQ(field(*bench.last("nexthop.restored", "up0"), "router"), "fe80::1");
  EXPECT_EQ(listen().next_hops, std::vector{kFirst});
  bench.advance(hours(24));
  EXPECT_TRUE(bench.edge.asked_routers.empty());
}

TEST_F(DeadRouterTest, MeanwhileItIsAskedEverLessOften) {
  sees(kFirst, false);
  bench.advance(minutes(1));
  EXPECT_GE(bench.edge.asked_routers.size(), 2u);
  EXPECT_EQ(bench.edge.asked_routers[0], std::vector{kFirst});
  bench.advance(hours(1));
  EXPECT_LE(bench.edge.asked_routers.size(), 20u);
  for (int i = 0; i < 100; ++i) sees(kFirst, false);  // what asking leads to
  EXPECT_EQ(count("nexthop.failed"), 1u);
}

TEST_F(DeadRouterTest, WithoutAnotherItStaysAndIsAskedByPacketsAlone) {
  bench.edge.way_round.reset();
  sees(kFirst, false);
  EXPECT_EQ(next_hop(), kFirst);
  EXPECT_EQ(field(*bench.last("nexthop.failed", "up0"), "via"), "");
  bench.advance(hours(1));
  EXPECT_TRUE(bench.edge.asked_routers.empty());
  sees(kFirst, true);
  EXPECT_EQ(count("nexthop.restored"), 1u);
}

TEST_F(DeadRouterTest, TheKernelsOwnChoiceCountsToo) {
  bench.edge.route = Route{kSecond, {}};  // it does not forward
  sees(kFirst, false);
  EXPECT_EQ(next_hop(), kSecond);
  EXPECT_EQ(field(*bench.last("nexthop.failed", "up0"), "via"), "fe80::2");
}

TEST_F(DeadRouterTest, WhoIsNoNextHopIsNoMatter) {
  sees(kSecond, false);
  sees(kSecond, true);
  EXPECT_EQ(count("nexthop.failed") + count("nexthop.restored"), 0u);
  EXPECT_EQ(next_hop(), kFirst);
}

TEST_F(DeadRouterTest, IsForgottenWithTheCarrier) {
  sees(kFirst, false);
  bench.link("up0", 2, true, false);
  bench.link("up0", 2);
  EXPECT_EQ(next_hop(), kFirst);
}

}  // namespace
}  // namespace clat::plan::test
