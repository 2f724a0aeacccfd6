// What clatd may write is checked on every leg and at every moment: no clatd without its filter.
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_edge.hpp"
#include "supervisor/plan/status.hpp"

namespace clat::plan::test {
namespace {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;
using config::FastPathMode;

class FilterPart : public testing::Test {
 protected:
  void bring_up(FastPathMode mode = FastPathMode::automatic) {
    config.interfaces[0].fast_path = mode;
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  Clat clat() { return bench.app.world().clats.at("up0"); }
  const FilterSpec& filter() { return std::get<FilterSpec>(*bench.edge.spec("up0", Part::filter)); }
  long told(std::string_view event) { return std::ranges::count(bench.notes, event, &Note::event); }
  // Somebody takes it away, and the kernel tells.
  void steal_filter() {
    bench.edge.steal("up0", Part::filter);
    bench.handle(TrafficControlChanged{clat().tun});
  }
  bool has(Part part) { return bench.edge.has("up0", part); }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(FilterPart, RedirectsOnTheFastLegAndLeavesTheRoutedLegToTheStack) {
  bring_up();
  bench.advance(2s);  // no neighbour has the address
  EXPECT_FALSE(filter().filter.routed);
  EXPECT_EQ(filter().filter.by, std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)));
  Bench other;
  config.interfaces[0].fast_path = FastPathMode::off;
  other.load(config);
  other.link("up0", 2);
  other.address(2, "2001:db8::1");
  EXPECT_TRUE(std::get<FilterSpec>(*other.edge.spec("up0", Part::filter)).filter.routed);
}

TEST_F(FilterPart, StandsWhileTheFastPathThatIsRequiredFails) {
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"bpf", EEXIST};
  bring_up(FastPathMode::required);
  EXPECT_TRUE(has(Part::filter));
  EXPECT_TRUE(has(Part::child));
  EXPECT_FALSE(clat().up);
}

// An operator who forbids forwarding to others keeps the fast leg until the other one stands.
TEST_F(FilterPart, ChangesItsWayOnlyAfterTheAnnouncement) {
  bring_up();
  bench.edge.forwarding = false;
  config.interfaces[0].fast_path = FastPathMode::off;
  bench.load(config);
  EXPECT_NE(bench.last("forwarding.off"), nullptr);
  EXPECT_FALSE(filter().filter.routed);
  bench.edge.forwarding = true;
  bench.advance(1s);
  EXPECT_TRUE(filter().filter.routed);
}

TEST_F(FilterPart, OfALinkWithoutAFastPathLeavesAllToTheStack) {
  config.interfaces[0].fast_path = FastPathMode::required;
  bench.load(config);
  bench.handle(LinkSeen{Link{2, "up0", true, true, 1500, LinkLayer::other, {}}});
  bench.address(2, "2001:db8::1");
  EXPECT_TRUE(filter().filter.routed);
}

TEST_F(FilterPart, ByOtherMeansWithoutBpfAndBackWithIt) {
  bench.edge.no_bpf = Error{"bpf-dir is not in a bpffs", 0};
  bring_up();
  EXPECT_TRUE(clat().up);
  EXPECT_NE(filter().means, FilterMeans::bpf);
  const int pid = bench.edge.pid("up0");
  bench.advance(60s);
  EXPECT_EQ(told("filter.unavailable"), 1);
  EXPECT_EQ(told("fastpath.unavailable"), 1);
  EXPECT_EQ(field(*bench.last("fastpath.unavailable"), "reason"), "bpf-dir is not in a bpffs");
  bench.edge.no_bpf.reset();
  bench.advance(300s);
  EXPECT_EQ(filter().means, FilterMeans::bpf);
  EXPECT_EQ(told("filter.restored"), 1);
  EXPECT_TRUE(has(Part::fast_path)) << "which is tried at once";
  EXPECT_EQ(bench.edge.pid("up0"), pid);
}

TEST_F(FilterPart, WhatWasInTheWayOfBpfIsGoneWhenTrafficControlChanges) {
  bench.edge.no_bpf = Error{"taken", EBUSY};
  bring_up();
  bench.advance(60s);
  bench.edge.no_bpf.reset();
  bench.handle(TrafficControlChanged{clat().tun});
  EXPECT_EQ(filter().means, FilterMeans::bpf);
  EXPECT_TRUE(has(Part::fast_path));
}

TEST_F(FilterPart, AReloadTriesBpfAgain) {
  bench.edge.no_bpf = Error{"bpf", EPERM};
  bring_up(FastPathMode::off);
  bench.advance(60s);
  EXPECT_EQ(told("fastpath.unavailable"), 0) << "nobody wants it";
  bench.edge.no_bpf.reset();
  bench.load(config);
  EXPECT_EQ(filter().means, FilterMeans::bpf);
}

TEST_F(FilterPart, WithoutAnyThereIsNoClatd) {
  bench.edge.failing[{"up0", Part::filter}] = Error{"no means", EPERM};
  bring_up();
  bench.advance(10s);
  EXPECT_FALSE(has(Part::child));
  EXPECT_FALSE(has(Part::fast_path));
  EXPECT_EQ(field(*bench.last("clat.failed"), "part"), "filter");
  EXPECT_EQ(told("clat.failed"), 1);
  EXPECT_EQ(status_of(bench.app.world(), "up0", clat(), bench.now).state, State::failed);
  bench.edge.failing.clear();
  bench.advance(60s);
  EXPECT_TRUE(clat().up);
}

TEST_F(FilterPart, WhatIsLostIsMadeAgainUnderARunningClatd) {
  bring_up(FastPathMode::off);
  const int pid = bench.edge.pid("up0");
  steal_filter();
  EXPECT_TRUE(has(Part::filter));
  EXPECT_EQ(field(*bench.last("part.lost"), "part"), "filter");
  EXPECT_EQ(told("filter.restored"), 1);
  EXPECT_EQ(bench.edge.pid("up0"), pid);
  EXPECT_TRUE(clat().up);
}

TEST_F(FilterPart, AChangeThatFailsIsALossAndIsAttachedAnew) {
  bring_up(FastPathMode::off);
  bench.edge.change_fails.insert(Part::filter);
  bench.link("up0", 2, true, true, 1400);
  EXPECT_EQ(field(*bench.last("part.lost"), "part"), "filter");
  EXPECT_EQ(filter().filter.by.uplink_mtu, 1400U);
}

// The programs have a map of them.
TEST_F(FilterPart, ByRulesKnowsWhatIsConnected) {
  bench.link("lan0", 9);
  bench.handle(Ipv4Seen{9, {*Ipv4Address::parse("192.168.7.1"), *Ipv4Prefix::parse("192.168.7.0/24")}});
  bring_up();
  EXPECT_EQ(filter().connected, std::vector<Ipv4Prefix>{});
  bench.edge.no_bpf = Error{"bpf", EPERM};
  steal_filter();
  EXPECT_EQ(filter().connected, std::vector{*Ipv4Prefix::parse("192.168.7.0/24")});
  bench.edge.executed.clear();
  bench.unlink(9);
  EXPECT_EQ(bench.edge.log_of("up0"), Words{"change filter"});
  EXPECT_EQ(filter().connected, std::vector<Ipv4Prefix>{});
}

TEST_F(FilterPart, ByRulesIsLookedAtWhenRulesChange) {
  bench.edge.no_bpf = Error{"bpf", EPERM};
  bring_up();
  bench.edge.executed.clear();
  bench.handle(NftablesChanged{});
  EXPECT_EQ(bench.edge.log_of("up0"), Words{"verify filter"});
  bench.edge.steal("up0", Part::filter);
  bench.handle(NftablesChanged{});
  EXPECT_TRUE(has(Part::filter));
  EXPECT_EQ(told("filter.restored"), 1);
}

TEST_F(FilterPart, ByBpfIsNoMatterOfRules) {
  bring_up();
  bench.edge.executed.clear();
  bench.handle(NftablesChanged{});
  EXPECT_EQ(bench.edge.log_of("up0"), Words{});
}

// Whoever took it over may not care for SIGTERM.
TEST_F(FilterPart, LostForGoodItTakesClatdAlongAtOnce) {
  bench.edge.obedient_children = false;
  bring_up(FastPathMode::off);
  bench.edge.failing[{"up0", Part::filter}] = Error{"no means", EPERM};
  bench.edge.steal("up0", Part::filter);
  bench.edge.executed.clear();
  bench.handle(TrafficControlChanged{clat().tun});
  const auto log = bench.edge.log_of("up0");
  EXPECT_NE(std::ranges::find(log, "kill child"), log.end());
  EXPECT_FALSE(has(Part::child));
  EXPECT_EQ(field(*bench.last("clat.down"), "reason"), "no means: Operation not permitted");
  bench.edge.failing.clear();
  bench.advance(60s);
  EXPECT_TRUE(clat().up);
}

// A link that lost its pin is at work until the kernel takes it off its hook.
TEST_F(FilterPart, ALinkThatHasToGoFirstConfinesClatdMeanwhile) {
  bring_up(FastPathMode::off);
  const int pid = bench.edge.pid("up0");
  bench.edge.failing[{"up0", Part::filter}] = Error{"still on the hook", EAGAIN};
  steal_filter();
  bench.advance(100ms);
  EXPECT_FALSE(has(Part::filter));
  EXPECT_EQ(told("filter.unavailable"), 0);
  EXPECT_EQ(bench.edge.pid("up0"), pid);
  bench.edge.failing.clear();
  bench.advance(20ms);
  EXPECT_EQ(filter().means, FilterMeans::bpf);
  EXPECT_EQ(told("filter.restored"), 1);
  EXPECT_EQ(bench.edge.pid("up0"), pid);
  EXPECT_TRUE(clat().up);
}

// Its programs need the map entry that went with the filter.
TEST_F(FilterPart, WithoutItThereIsNoFastPath) {
  bring_up();
  bench.edge.no_bpf = Error{"bpf", EPERM};
  steal_filter();
  EXPECT_EQ(told("fastpath.lost"), 1);
  EXPECT_NE(filter().means, FilterMeans::bpf);
  EXPECT_EQ(std::get<AnnounceSpec>(*bench.edge.spec("up0", Part::announce)).leg, Leg::routed);
  EXPECT_TRUE(clat().up);
}

}  // namespace
}  // namespace clat::plan::test
