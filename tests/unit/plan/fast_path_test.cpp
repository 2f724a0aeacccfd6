// The two legs, and the way from one to the other.
#include <gtest/gtest.h>

#include "fake_edge.hpp"
#include "supervisor/plan/status.hpp"

namespace clat::plan::test {
namespace {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;

class TwoLegs : public testing::Test {
 protected:
  void bring_up() {
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  Clat clat() { return bench.app.world().clats.at("up0"); }
  std::optional<Leg> leg() {
    const auto* announce = bench.edge.spec("up0", Part::announce);
    return announce == nullptr ? std::nullopt : std::optional(std::get<AnnounceSpec>(*announce).leg);
  }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(TwoLegs, OffMeansRoutedWithoutBlackhole) {
  config.interfaces[0].fast_path = config::FastPathMode::off;
  bring_up();
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(leg(), Leg::routed);
  EXPECT_EQ(bench.edge.log_of("up0"), (Words{"make record", "make tun", "make setup", "make filter", "make announce",
                                             "make child", "make listen", "make route"}));
  EXPECT_EQ(field(*bench.last("clat.up"), "path"), "routed");
}

TEST_F(TwoLegs, AutomaticFallsBackSaysSoOnceAndComesBack) {
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"bpf", EPERM};
  bring_up();
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(leg(), Leg::routed);
  EXPECT_FALSE(bench.edge.has("up0", Part::guard));
  bench.advance(60s);
  EXPECT_EQ(std::ranges::count(bench.notes, "fastpath.unavailable", &Note::event), 1);
  EXPECT_TRUE(bench.edge.has("up0", Part::route));
  bench.edge.failing.clear();
  bench.advance(300s);
  EXPECT_EQ(leg(), Leg::fast);
  EXPECT_TRUE(bench.edge.has("up0", Part::guard));
  EXPECT_TRUE(clat().up);
}

// A filter of somebody else's left no place for ours.
TEST_F(TwoLegs, WhatWasInTheWayIsGoneWhenTrafficControlChanges) {
  for (const auto mode : {config::FastPathMode::automatic, config::FastPathMode::required}) {
    Bench each;
    config.interfaces[0].fast_path = mode;
    each.edge.failing[{"up0", Part::fast_path}] = Error{"taken", EBUSY};
    each.load(config);
    each.link("up0", 2);
    each.address(2, "2001:db8::1");
    each.advance(60s);
    each.edge.failing.clear();
    each.handle(TrafficControlChanged{each.app.world().clats.at("up0").tun});
    EXPECT_FALSE(each.edge.has("up0", Part::fast_path)) << "that is another link";
    each.handle(TrafficControlChanged{2});
    EXPECT_TRUE(each.edge.has("up0", Part::fast_path));
  }
}

// Attaching makes a qdisc before it fails, and that is told as well.
TEST_F(TwoLegs, OtherFailuresAreNotTriedAgainForThat) {
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"bpf", EPERM};
  bring_up();
  const auto tries = [this] { return std::ranges::count(bench.edge.log_of("up0"), "make fast-path"); };
  const auto before = tries();
  bench.handle(TrafficControlChanged{2});
  EXPECT_EQ(tries(), before);
}

// The kernel takes it off its hook a moment later.
TEST_F(TwoLegs, ALinkThatHasToGoFirstIsWaitedForWithoutAWord) {
  bring_up();
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"still on the hook", EAGAIN};
  bench.edge.steal_fast_path("up0");
  bench.advance(5100ms);  // an audit, and a few tries
  EXPECT_NE(bench.last("fastpath.lost"), nullptr);
  EXPECT_EQ(bench.last("fastpath.unavailable"), nullptr);
  EXPECT_FALSE(bench.edge.has("up0", Part::fast_path));
  EXPECT_EQ(leg(), Leg::fast);
  bench.edge.failing.clear();
  bench.advance(20ms);
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
  EXPECT_NE(bench.last("fastpath.restored"), nullptr);
  EXPECT_TRUE(bench.edge.has("up0", Part::route));
  EXPECT_TRUE(clat().up);
}

TEST_F(TwoLegs, RequiredRefusesToRunWithout) {
  config.interfaces[0].fast_path = config::FastPathMode::required;
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"bpf", EPERM};
  bring_up();
  bench.advance(10s);
  EXPECT_FALSE(clat().up);
  EXPECT_FALSE(bench.edge.has("up0", Part::announce));
  EXPECT_EQ(status_of(bench.app.world(), "up0", clat(), bench.now).state, State::failed);
  EXPECT_EQ(std::ranges::count(bench.notes, "clat.failed", &Note::event), 1);
}

TEST_F(TwoLegs, LostProgramsAreAttachedAgainAfterTheAudit) {
  bring_up();
  bench.edge.steal_fast_path("up0");
  bench.advance(5s);
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
  EXPECT_NE(bench.last("fastpath.lost"), nullptr);
  EXPECT_EQ(std::ranges::count(bench.notes, "fastpath.restored", &Note::event), 1);
  EXPECT_EQ(bench.last("clat.down"), nullptr);
}

TEST_F(TwoLegs, LostProgramsAreTriedAgainThoughThereIsNoRoutedLeg) {
  bring_up();
  bench.edge.forwarding = false;
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"bpf", EEXIST};
  bench.edge.steal_fast_path("up0");
  bench.advance(10s);
  EXPECT_FALSE(bench.edge.has("up0", Part::fast_path));
  EXPECT_TRUE(bench.edge.has("up0", Part::guard));
  bench.edge.failing.clear();
  bench.advance(60s);
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
  EXPECT_EQ(leg(), Leg::fast);
  EXPECT_TRUE(clat().up);
}

TEST_F(TwoLegs, ATrafficControlHintIsFollowedAtOnce) {
  bring_up();
  bench.edge.steal_fast_path("up0");
  bench.handle(TrafficControlChanged{2});
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
  bench.edge.steal_fast_path("up0");
  bench.handle(TrafficControlChanged{clat().tun});
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
}

// Seen in one batch after clatvisor was held up: what is wanted is what was made, but not on this link.
TEST_F(TwoLegs, WhatStoodOnALinkIsMadeAnewOnTheNextOfTheSameIndex) {
  for (const auto dialect : {config::Dialect::native, config::Dialect::aosp}) {
    Bench each;
    config.clatd.dialect = dialect;
    each.load(config);
    each.link("up0", 2);
    each.address(2, "2001:db8::1");
    const auto link = *each.app.world().link("up0");
    const int pid = each.edge.pid("up0");
    each.edge.steal_fast_path("up0");
    each.edge.steal("up0", Part::announce);
    each.edge.executed.clear();
    each.app.handle(
        {LinkGone{2}, LinkSeen{link}, Ipv6Seen{2, {*Ipv6Address::parse("2001:db8::1"), 64, true, false, false}}});
    each.settle();
    const auto log = each.edge.log_of("up0");
    EXPECT_EQ(std::ranges::count(log, "make fast-path"), 1);
    EXPECT_EQ(std::ranges::count(log, "make announce"), 1);
    EXPECT_EQ(std::ranges::count(log, "make tun"), 0);
    // Android's has sockets on the link.
    EXPECT_EQ(each.edge.pid("up0") != pid, dialect == config::Dialect::aosp);
    EXPECT_TRUE(each.app.world().clats.at("up0").up);
  }
}

TEST_F(TwoLegs, HintsAboutOtherLinksAskNothing) {
  bring_up();
  const auto before = bench.edge.executed.size();
  bench.handle(TrafficControlChanged{77});
  EXPECT_EQ(bench.edge.executed.size(), before);
}

TEST_F(TwoLegs, EachLegIsReadyBeforeTheOtherGoes) {
  bring_up();
  bench.edge.executed.clear();
  config.interfaces[0].fast_path = config::FastPathMode::off;
  bench.load(config);
  EXPECT_EQ(bench.edge.log_of("up0"),
            (Words{"change record", "change announce", "remove fast-path", "remove guard", "change filter"}));
  bench.edge.executed.clear();
  config.interfaces[0].fast_path = config::FastPathMode::automatic;
  bench.load(config);
  EXPECT_EQ(bench.edge.log_of("up0"),
            (Words{"change record", "make guard", "make fast-path", "change announce", "change filter"}));
}

TEST_F(TwoLegs, AChangeThatFailsIsALossAndIsAttachedAnew) {
  bring_up();
  bench.edge.change_fails.insert(Part::fast_path);
  bench.link("up0", 2, true, true, 1400);
  EXPECT_NE(bench.last("fastpath.lost"), nullptr);
  EXPECT_EQ(std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)).uplink_mtu, 1400U);
  EXPECT_TRUE(clat().up);
}

// Its pins bear the number of the link that is gone.
TEST_F(TwoLegs, AnAuditThatMissesBothUplinkAndProgramsLeavesNoPin) {
  bring_up();
  const auto attached = *clat().piece(Part::fast_path).have;
  bench.edge.steal_fast_path("up0");
  auto kernel = bench.app.world().kernel;
  kernel.links.erase(2);
  kernel.ipv6.erase(2);
  bench.handle(Audited{.kernel = kernel, .missing = {{{"up0", attached}, Error{"the TCX link is detached", 0}}}});
  bench.link("up0", 3);
  bench.address(3, "2001:db8::1");
  EXPECT_EQ(std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)).uplink_ifindex, 3);
  bench.handle(StopRequested{15});
  EXPECT_TRUE(bench.edge.is_empty());
}

TEST_F(TwoLegs, ProgramsThatStayDamagedAreRemovedWithTheirUplink) {
  config.interfaces[0].fast_path = config::FastPathMode::required;
  bring_up();
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"bpf", ENOMEM};
  bench.edge.steal_fast_path("up0");
  bench.advance(5s);
  EXPECT_FALSE(clat().up);
  bench.edge.executed.clear();
  bench.load(config_of(0));
  const auto log = bench.edge.log_of("up0");
  EXPECT_EQ(std::ranges::count(log, "remove fast-path"), 1);
}

TEST_F(TwoLegs, RequiredAndLostForGoodIsDown) {
  config.interfaces[0].fast_path = config::FastPathMode::required;
  bring_up();
  EXPECT_TRUE(clat().up);
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"bpf", EPERM};
  bench.edge.steal_fast_path("up0");
  bench.advance(5s);
  EXPECT_FALSE(clat().up);
  EXPECT_NE(bench.last("clat.down"), nullptr);
}

TEST_F(TwoLegs, SwitchedOffByReloadItMovesToTheRoutedLegAndKeepsItsChild) {
  bring_up();
  const int pid = bench.edge.pid("up0");
  config.interfaces[0].fast_path = config::FastPathMode::off;
  bench.load(config);
  EXPECT_EQ(leg(), Leg::routed);
  EXPECT_FALSE(bench.edge.has("up0", Part::fast_path));
  EXPECT_EQ(bench.edge.pid("up0"), pid);
  EXPECT_TRUE(clat().up);
}

}  // namespace
}  // namespace clat::plan::test
