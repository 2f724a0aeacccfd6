// One CLAT from link to IPv4 and back, told as events in and actions out.
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/net/clat_address.hpp"
#include "fake_edge.hpp"
#include "supervisor/plan/status.hpp"

namespace clat::plan::test {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;

void bring_up_one(Bench& bench) {
  bench.load(config_of(1));
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1");
}

class Lifecycle : public testing::Test {
 protected:
  void bring_up() { bring_up_one(bench); }
  Clat clat(const std::string& name = "up0") { return bench.app.world().clats.at(name); }

  Bench bench;
};

TEST_F(Lifecycle, IsMadeInOrderAndComesUpOnce) {
  bring_up();
  EXPECT_EQ(bench.edge.log_of("up0"),
            (Words{"make record", "make tun", "make setup", "make guard", "make filter", "make fast-path",
                   "make announce", "make child", "make listen", "make route"}));
  EXPECT_EQ(bench.events_of("up0"), (Words{"clat.waiting", "link.up", "clat.waiting", "address.chosen",
                                           "fastpath.attached", "clat.spawned", "clat.ready", "clat.up"}));
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, NothingIsMadeBeforeTheKernelWasRead) {
  FakeEdge edge;
  App app(edge, [] { return TimePoint{}; }, [](const Notice&) {}, 1);
  app.handle(ConfigLoaded{std::make_shared<const config::Config>(config_of(1)), "x"});
  app.handle(LinkSeen{Link{2, "up0", true, true, 1500, LinkLayer::ethernet, {}}});
  app.handle(Ipv6Seen{2, {*Ipv6Address::parse("2001:db8::1"), 64, true, false, false}});
  EXPECT_TRUE(edge.executed.empty());
}

// Each thing that the kernel is asked for takes 20 ms.
TEST_F(Lifecycle, ManyUplinksAreServedInSlices) {
  FakeEdge edge;
  TimePoint now{1h};
  App app(
      edge,
      [&] {
        now += 20ms;
        return now;
      },
      [](const Notice&) {}, 1);
  app.handle({KernelDumped{}, ConfigLoaded{std::make_shared<const config::Config>(config_of(8)), "x"}});
  std::vector<Event> links;
  for (int i = 0; i < 8; ++i) {
    links.emplace_back(LinkSeen{Link{2 + i, "up" + std::to_string(i), true, true, 1500, LinkLayer::ethernet, {}}});
    links.emplace_back(Ipv6Seen{2 + i, {*Ipv6Address::parse("2001:db8:" + std::to_string(i) + "::1"), 64, true}});
  }
  app.handle(std::move(links));
  std::size_t turns = 0;
  const auto all_are_up = [&] {
    return app.world().clats.size() == 8 &&
           std::ranges::all_of(app.world().clats, [](const auto& each) { return each.second.up; });
  };
  for (; !all_are_up() && turns < 1000; ++turns) {
    const auto before = edge.executed.size();
    // What comes in between is heard, but is not worth a slice of its own.
    for (int i = 0; i < 8; ++i) app.handle(ChildAnswered{"up" + std::to_string(i), 1});
    EXPECT_TRUE(turns > 0 || edge.executed.size() == before);
    auto answers = std::exchange(edge.pending, {});
    answers.emplace_back(Tick{});
    app.handle(std::move(answers));
    EXPECT_LE(edge.executed.size() - before, 3U) << "a slice is not longer than it may be";
    EXPECT_TRUE(app.wake_at().has_value());
  }
  EXPECT_TRUE(all_are_up());
  EXPECT_GT(turns, 8U);
}

TEST_F(Lifecycle, AddressesAreNeutralAndInTheUplinksSubnet) {
  bring_up();
  const auto addresses = *clat().addresses;
  EXPECT_EQ(addresses.v4.text(), "192.0.0.4");
  EXPECT_TRUE(addresses.v6.same_first_bits(*Ipv6Address::parse("2001:db8::"), 64));
  EXPECT_EQ(checksum_delta(addresses.v6, addresses.v4, *Nat64Prefix::parse("2001:db8:64::/96")), 0);
}

TEST_F(Lifecycle, WithoutAChildThatReadsThereIsNoDefaultRoute) {
  bench.edge.children_get_ready = false;
  bring_up();
  EXPECT_TRUE(bench.edge.has("up0", Part::child));
  EXPECT_FALSE(bench.edge.has("up0", Part::route));
  bench.handle(ChildReady{"up0", bench.edge.pid("up0"), 3});
  EXPECT_TRUE(bench.edge.has("up0", Part::route));
  EXPECT_EQ(field(*bench.last("clat.ready"), "drained"), "3");
}

TEST_F(Lifecycle, AChildsDeathMovesNothingButItsReturn) {
  bring_up();
  const auto before = bench.edge.executed.size();
  bench.kill_child("up0");
  EXPECT_EQ(bench.edge.executed.size(), before) << "only the clock may bring it back";
  EXPECT_TRUE(clat().up);
  bench.advance(99ms);
  EXPECT_EQ(bench.edge.executed.size(), before);
  bench.advance(1ms);
  EXPECT_EQ(bench.edge.executed.size(), before + 1);
  EXPECT_EQ(bench.edge.executed.back(), (Executed{"up0", Verb::make, Part::child}));
  EXPECT_EQ(bench.last("clat.down"), nullptr);
}

TEST_F(Lifecycle, RepeatedDeathsDoubleTheDelayUntilAStableRun) {
  bring_up();
  std::vector<std::string> delays;
  for (int i = 0; i < 5; ++i) {
    bench.kill_child("up0");
    delays.push_back(field(*bench.last("clat.backoff"), "delay"));
    bench.advance(30s);
  }
  EXPECT_EQ(delays, (Words{"100ms", "200ms", "400ms", "800ms", "1600ms"}));
  EXPECT_NE(bench.last("clat.flapping"), nullptr);
  bench.advance(60s);
  bench.kill_child("up0");
  EXPECT_EQ(field(*bench.last("clat.backoff"), "delay"), "100ms");
  EXPECT_EQ(field(*bench.last("clat.exited"), "signal"), "SIGKILL");
}

TEST_F(Lifecycle, AFailedSpawnBacksOffToo) {
  bench.edge.failing[{"up0", Part::child}] = Error{"uv_spawn", EAGAIN};
  bring_up();
  EXPECT_EQ(field(*bench.last("clat.backoff"), "delay"), "100ms");
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
  bench.edge.failing.clear();
  bench.advance(100ms);
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, CarrierLossTakesTheRouteAndTheAnnouncementOnly) {
  bring_up();
  const int pid = bench.edge.pid("up0");
  bench.link("up0", 2, true, false);
  EXPECT_FALSE(bench.edge.has("up0", Part::route));
  EXPECT_FALSE(bench.edge.has("up0", Part::announce));
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
  EXPECT_EQ(field(*bench.last("clat.down"), "reason"), "no carrier");
  bench.link("up0", 2);
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(bench.edge.pid("up0"), pid);
}

TEST_F(Lifecycle, AddressRemovedTakesEverythingAndItsReturnBringsTheSameOne) {
  bring_up();
  const auto v6 = clat().addresses->v6;
  bench.no_address(2, "2001:db8::1");
  bench.advance(kGuardGrace);
  EXPECT_TRUE(bench.edge.is_empty());
  EXPECT_EQ(field(*bench.last("clat.down"), "reason"), "no global IPv6 address");
  bench.address(2, "2001:db8::7");
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(clat().addresses->v6, v6);
}

TEST_F(Lifecycle, ATentativeAddressIsNotEnough) {
  bench.load(config_of(1));
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1", false);
  EXPECT_TRUE(bench.edge.executed.empty());
  bench.address(2, "2001:db8::1", true);
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, RenumberingMovesToANewAddressAndKeepsTheOldBlackholeForAWhile) {
  bring_up();
  const auto old = clat().addresses->v6;
  bench.address(2, "2001:db8:0:2::1");
  EXPECT_EQ(clat().addresses->v6, old) << "a second prefix is no reason to move";
  bench.no_address(2, "2001:db8::1");
  const auto fresh = clat().addresses->v6;
  EXPECT_TRUE(fresh.same_first_bits(*Ipv6Address::parse("2001:db8:0:2::"), 64));
  EXPECT_TRUE(clat().up);
  ASSERT_EQ(clat().retired.size(), 1U);
  EXPECT_EQ(clat().retired[0].guard.v6, old);
  bench.advance(kGuardGrace);
  EXPECT_TRUE(clat().retired.empty());
  EXPECT_TRUE(bench.edge.has("up0", Part::guard));
}

TEST_F(Lifecycle, ARecreatedLinkIsServedUnderItsNewIndex) {
  bring_up();
  bench.unlink(2);
  EXPECT_FALSE(bench.edge.has("up0", Part::tun));
  EXPECT_NE(bench.last("link.gone"), nullptr);
  bench.link("up0", 9);
  bench.address(9, "2001:db8::1");
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)).uplink_ifindex, 9);
}

TEST_F(Lifecycle, ALostTunIsMadeAgain) {
  bring_up();
  const int old = clat().tun;
  bench.unlink(old);
  EXPECT_TRUE(clat().up);
  EXPECT_NE(clat().tun, old);
  EXPECT_EQ(std::get<ChildSpec>(*bench.edge.spec("up0", Part::child)).tun, clat().tun);
}

TEST_F(Lifecycle, ATunSetDownByAForeignHandIsSetUpAgain) {
  bring_up();
  const auto before = bench.edge.executed.size();
  bench.handle(LinkSeen{Link{clat().tun, "v4-up0", false, false, 1500, LinkLayer::raw_ip, {}}});
  ASSERT_EQ(bench.edge.executed.size(), before + 2);
  EXPECT_EQ(bench.edge.executed[before], (Executed{"up0", Verb::make, Part::setup}));
  EXPECT_EQ(bench.edge.executed[before + 1], (Executed{"up0", Verb::make, Part::route}));
}

TEST_F(Lifecycle, AForeignTunIsLeftAloneUntilItGoes) {
  bench.link("v4-up0", 7);
  bring_up();
  EXPECT_TRUE(bench.edge.executed.empty());
  const auto* failed = bench.last("clat.failed");
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(field(*failed, "errno"), "EBUSY");
  EXPECT_NE(field(*failed, "reason").find("v4-up0"), std::string::npos);
  EXPECT_EQ(status_of(bench.app.world(), "up0", clat(), bench.now).state, State::failed);
  bench.unlink(7);
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, LateNewsOfATunThatWasTakenDownIsNoForeignTun) {
  bring_up();
  const int tun = clat().tun;
  bench.no_address(2, "2001:db8::1");
  bench.handle(LinkSeen{Link{tun, "v4-up0", true, true, 1472, LinkLayer::raw_ip, {}}});
  bench.handle(Ipv4Seen{tun, {{192, 0, 0, 4}}});
  bench.address(2, "2001:db8::1");
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(bench.last("clat.failed"), nullptr);
  EXPECT_EQ(clat().addresses->v4.text(), "192.0.0.4");
}

TEST_F(Lifecycle, MtuFallsTunFirstAndRisesFastPathFirst) {
  bring_up();
  bench.edge.executed.clear();
  bench.link("up0", 2, true, true, 1400);
  EXPECT_EQ(bench.edge.log_of("up0"), (Words{"change setup", "change filter", "change fast-path", "change child"}));
  EXPECT_EQ(std::get<SetupSpec>(*bench.edge.spec("up0", Part::setup)).mtu, 1372U);
  bench.edge.executed.clear();
  bench.link("up0", 2, true, true, 1500);
  EXPECT_EQ(bench.edge.log_of("up0"), (Words{"change child", "change fast-path", "change filter", "change setup"}));
}

TEST_F(Lifecycle, StopTakesEverythingDownAndExits) {
  bring_up();
  bench.handle(StopRequested{SIGTERM});
  EXPECT_TRUE(bench.edge.is_empty());
  EXPECT_TRUE(bench.app.done());
  EXPECT_EQ(field(*bench.last("supervisor.stopping"), "signal"), "SIGTERM");
}

TEST_F(Lifecycle, AStubbornChildIsKilledAfterTheStopTimeout) {
  bench.edge.obedient_children = false;
  bring_up();
  bench.handle(StopRequested{SIGTERM});
  EXPECT_FALSE(bench.app.done());
  EXPECT_TRUE(bench.edge.has("up0", Part::tun)) << "it still holds the tun";
  bench.advance(5s);
  EXPECT_TRUE(bench.app.done());
  EXPECT_TRUE(bench.edge.is_empty());
}

TEST_F(Lifecycle, AStopTriesAFailedRemovalAgainButNotForEver) {
  for (const Part part : {Part::record, Part::tun, Part::setup, Part::guard, Part::filter, Part::fast_path,
                          Part::announce, Part::route}) {
    Bench each;
    bring_up_one(each);
    each.edge.remove_fails[part] = 2;
    each.handle(StopRequested{SIGTERM});
    EXPECT_FALSE(each.app.done()) << name(part);
    each.advance(1s);
    EXPECT_TRUE(each.app.done()) << name(part);
    EXPECT_TRUE(each.edge.is_empty()) << name(part);
  }
  bring_up();
  bench.edge.remove_fails[Part::record] = 1000;
  bench.handle(StopRequested{SIGTERM});
  bench.advance(1s);
  EXPECT_TRUE(bench.app.done());
  EXPECT_EQ(field(*bench.last("action.failed"), "part"), "record");
}

TEST_F(Lifecycle, AStartThatFailsAtAnyStepLeavesNothingWhenItIsGivenUp) {
  for (std::size_t i = 0; i < kParts; ++i) {
    const auto step = static_cast<Part>(i);
    Bench each;
    each.edge.failing[{"up0", step}] = Error{"injected", ENOSPC};
    bring_up_one(each);
    each.advance(5s);
    EXPECT_FALSE(each.edge.has("up0", step)) << name(step);
    each.load(config_of(0));
    each.advance(kGuardGrace);
    EXPECT_TRUE(each.edge.is_empty()) << name(step);
    each.edge.failing.clear();
    each.load(config_of(1));
    EXPECT_TRUE(each.app.world().clats.at("up0").up) << name(step);
  }
}

TEST_F(Lifecycle, HandoverLeavesAllInPlace) {
  bring_up();
  const auto before = bench.edge.executed.size();
  bench.handle(HandoverRequested{});
  EXPECT_TRUE(bench.app.done());
  EXPECT_EQ(bench.edge.executed.size(), before);
}

TEST_F(Lifecycle, AFailingPartHoldsBackItsInterfaceOnly) {
  bench.edge.failing[{"up0", Part::setup}] = Error{"set mtu", ENOBUFS};
  bench.load(config_of(2));
  for (int i = 0; i < 2; ++i) {
    bench.link("up" + std::to_string(i), 2 + i);
    bench.address(2 + i, "2001:db8:" + std::to_string(i) + "::1");
  }
  EXPECT_FALSE(clat("up0").up);
  EXPECT_TRUE(clat("up1").up);
  EXPECT_EQ(field(*bench.last("clat.failed", "up0"), "retry_in"), "100ms");
  bench.advance(40ms);
  bench.handle(DumpRequested{});
  EXPECT_TRUE(std::ranges::any_of(bench.notes, [](const Note& note) {
    return field(note, "line").contains(" failure=set mtu: No buffer space available retry_in=60ms ");
  }));
  bench.edge.failing.clear();
  bench.advance(60ms);
  EXPECT_TRUE(clat("up0").up);
}

TEST_F(Lifecycle, ADefaultRouteThatSomebodyTookIsPutBackAtOnce) {
  bring_up();
  const auto before = bench.edge.executed.size();
  bench.handle(Ipv4DefaultRouteChanged{7});
  EXPECT_EQ(bench.edge.executed.size(), before) << "not of our metric";
  bench.edge.steal("up0", Part::route);
  bench.handle(Ipv4DefaultRouteChanged{2048});
  EXPECT_TRUE(bench.edge.has("up0", Part::route));
  EXPECT_EQ(field(*bench.last("part.lost", "up0"), "part"), "route");
}

TEST_F(Lifecycle, ADefaultRouteThatWasInTheWayIsNotWaitedForOnceItIsGone) {
  bench.edge.failing[{"up0", Part::route}] = Error{"add default route", EEXIST};
  bring_up();
  bench.advance(1min);
  bench.edge.failing.clear();
  bench.handle(Ipv4DefaultRouteChanged{2048});
  EXPECT_TRUE(bench.edge.has("up0", Part::route));
}

TEST_F(Lifecycle, AFailingRouteDelaysNeitherChildNorWithdrawal) {
  bench.edge.failing[{"up0", Part::route}] = Error{"add default route", EEXIST};
  bring_up();
  bench.advance(20s);
  bench.kill_child("up0");
  bench.edge.executed.clear();
  bench.advance(100ms);
  EXPECT_TRUE(bench.edge.has("up0", Part::child)) << "the route's backoff held the child back";
  bench.no_address(2, "2001:db8::1");
  EXPECT_FALSE(bench.edge.has("up0", Part::announce)) << "the route's backoff held the withdrawal back";
}

TEST_F(Lifecycle, ARouteThatTheOperatorForbidsIsWaitedFor) {
  for (const int code : {EACCES, EINVAL}) {
    Bench each;
    each.edge.route = failure("look up the way", code);
    bring_up_one(each);
    EXPECT_EQ(field(*each.last("clat.waiting", "up0"), "reason"),
              "no IPv6 route towards 2001:db8:64::/96: " + std::string(std::strerror(code)));
    EXPECT_EQ(status_of(each.app.world(), "up0", each.app.world().clats.at("up0"), each.now).state, State::waiting);
    each.edge.route = Route{Ipv6Address::parse("fe80::1"), {}};
    each.handle(Ipv6RoutesChanged{});
    EXPECT_TRUE(each.app.world().clats.at("up0").up);
    each.edge.route = failure("look up the way", code);
    each.handle(Ipv6RoutesChanged{});
    EXPECT_EQ(field(*each.last("clat.down", "up0"), "reason"),
              "no IPv6 route towards 2001:db8:64::/96: " + std::string(std::strerror(code)));
  }
}

TEST_F(Lifecycle, TheDelaysOfClatdAreNotThoseOfAnythingElse) {
  auto config = config_of(1);
  config.clatd.restart.initial = config.clatd.restart.max = 1h;
  bench.load(config);
  bench.edge.route = failure("ask for the route", ENOMEM);
  bench.edge.failing[{"up0", Part::route}] = Error{"add default route", EEXIST};
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1");
  bench.advance(5min);
  bench.edge.route = Route{Ipv6Address::parse("fe80::1"), {}};
  bench.advance(10s);
  EXPECT_TRUE(bench.edge.has("up0", Part::announce));
  bench.advance(5min);
  bench.edge.failing.clear();
  bench.advance(10s);
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, AFailureEndsWithItsCause) {
  bench.edge.failing[{"up0", Part::route}] = Error{"add default route", ENOMEM};
  bring_up();
  EXPECT_EQ(status_of(bench.app.world(), "up0", clat(), bench.now).state, State::failed);
  auto config = config_of(1);
  config.interfaces[0].route_metric.reset();
  bench.load(config);
  EXPECT_EQ(status_of(bench.app.world(), "up0", clat(), bench.now).state, State::up);
}

TEST_F(Lifecycle, TwoFailingPartsDoNotKeepEachOtherBusy) {
  bench.edge.failing[{"up0", Part::route}] = Error{"add default route", EEXIST};
  bench.edge.failing[{"up0", Part::announce}] = Error{"add proxy", ENOBUFS};
  bring_up();
  bench.edge.executed.clear();
  bench.advance(60s);
  EXPECT_LT(bench.edge.executed.size(), 60U);
}

TEST_F(Lifecycle, AnAuditFindsAndRepairsWhatSomebodyTookAway) {
  bring_up();
  for (const Part part : {Part::setup, Part::guard, Part::filter, Part::announce, Part::route}) {
    bench.edge.steal("up0", part);
    bench.advance(5s);
    EXPECT_TRUE(bench.edge.has("up0", part)) << name(part);
    EXPECT_EQ(field(*bench.last("part.lost"), "part"), name(part));
  }
  EXPECT_TRUE(clat().up);
}

// IPv6 may have been switched off on the tun, as the kernel tells nobody: its route fails longer and longer.
TEST_F(Lifecycle, WhatFailsIsTriedAtOnceWhenThatOnWhichItStandsIsMadeAgain) {
  bring_up();
  bench.edge.failing[{"up0", Part::announce}] = Error{"add route", EACCES};
  bench.link("up0", 2, true, false);
  bench.link("up0", 2);
  bench.advance(57s);
  EXPECT_FALSE(clat().up);
  bench.edge.failing.clear();
  bench.edge.steal("up0", Part::setup);
  bench.advance(5s);
  EXPECT_EQ(field(*bench.last("part.lost"), "part"), "setup");
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, ARenamedTunIsReplaced) {
  bring_up();
  const int old = clat().tun;
  bench.handle(LinkSeen{Link{old, "foo0", true, true, 1472, LinkLayer::raw_ip, {}}});
  EXPECT_TRUE(clat().up);
  EXPECT_NE(clat().tun, old);
  EXPECT_EQ(clat().addresses->v4.text(), "192.0.0.4");
}

TEST_F(Lifecycle, AChildThatIsNeverReadyIsReplaced) {
  bench.edge.children_get_ready = false;
  bring_up();
  const int first = bench.edge.pid("up0");
  bench.advance(kReadyTimeout + kLastLook);
  EXPECT_EQ(field(*bench.last("clat.replaced"), "reason"), "it read no packets within 10000ms");
  EXPECT_EQ(field(*bench.last("clat.exited"), "asked"), "yes");
  bench.advance(100ms);
  EXPECT_NE(bench.edge.pid("up0"), first);
}

TEST_F(Lifecycle, WithoutARouteItWaitsAndSaysSo) {
  bench.edge.route = failure("no way", ENETUNREACH);
  bring_up();
  EXPECT_TRUE(bench.edge.executed.empty());
  EXPECT_EQ(field(*bench.last("clat.waiting"), "reason"), "no IPv6 route towards 2001:db8:64::/96");
  bench.edge.route = Route{};
  bench.handle(Ipv6RoutesChanged{});
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, ALostRouteTakesDefaultRouteAndAnnouncementOnly) {
  bring_up();
  bench.edge.route = failure("no way", ENETUNREACH);
  bench.handle(Ipv6RoutesChanged{});
  EXPECT_FALSE(bench.edge.has("up0", Part::route));
  EXPECT_FALSE(bench.edge.has("up0", Part::announce));
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
  EXPECT_EQ(field(*bench.last("clat.down"), "reason"), "no IPv6 route towards 2001:db8:64::/96");
}

TEST_F(Lifecycle, ALookUpThatFailedSaysNothingAboutTheRoute) {
  bring_up();
  bench.edge.route = failure("no answer", ETIMEDOUT);
  bench.handle(Ipv6RoutesChanged{});
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, ALookUpThatFailedIsTriedAgainBeforeTheNextAudit) {
  auto config = config_of(1);
  config.audit_interval = 1h;
  bench.edge.route = failure("no answer", ENOBUFS);
  bench.load(config);
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1");
  EXPECT_FALSE(clat().up);
  bench.edge.route = Route{};
  bench.advance(10s);
  EXPECT_TRUE(clat().up);
}

TEST_F(Lifecycle, ANextHopThatMovesIsHandedToThePrograms) {
  bring_up();
  bench.edge.route = Route{Ipv6Address::parse("fe80::2"), {}};
  bench.edge.executed.clear();
  bench.handle(Ipv6RoutesChanged{});
  EXPECT_EQ(bench.edge.log_of("up0"), (Words{"change filter", "change fast-path", "change listen"}));
}

TEST_F(Lifecycle, EachInterfaceGetsAnIpv4AddressOfItsOwnAndTheHostsAreLeftAlone) {
  bench.handle(Ipv4Seen{1, {{192, 0, 0, 5}}});
  bench.load(config_of(8));
  for (int i = 0; i < 8; ++i) {
    bench.link("up" + std::to_string(i), 2 + i);
    bench.address(2 + i, "2001:db8:" + std::to_string(i) + "::1");
  }
  std::set<std::string> taken;
  for (int i = 0; i < 7; ++i) taken.insert(clat("up" + std::to_string(i)).addresses->v4.text());
  EXPECT_EQ(taken.size(), 7U);
  EXPECT_FALSE(taken.contains("192.0.0.5"));
  EXPECT_EQ(field(*bench.last("clat.failed", "up7"), "reason"), "no free IPv4 address in 192.0.0.0/29");
}

TEST_F(Lifecycle, HealthIsAskedForEachIntervalAndSaidOncePerInterface) {
  bring_up();
  bench.advance(180s);
  EXPECT_EQ(bench.edge.health_requests, 3U);
  EXPECT_EQ(field(*bench.last("health", "up0"), "state"), "up");
}

TEST_F(Lifecycle, ResyncAfterAnOverrunFindsWhatWasMissed) {
  bring_up();
  Kernel kernel = bench.app.world().kernel;
  kernel.links.erase(2);
  kernel.ipv6.erase(2);
  bench.handle(KernelDumped{kernel, true});
  EXPECT_NE(bench.last("netlink.resynced"), nullptr);
  EXPECT_NE(bench.last("link.gone"), nullptr);
  EXPECT_FALSE(bench.edge.has("up0", Part::tun));
}

TEST_F(Lifecycle, DumpShowsTheTrackersTable) {
  bring_up();
  bench.notes.clear();
  bench.handle(DumpRequested{});
  ASSERT_GE(bench.notes.size(), 3U);
  EXPECT_EQ(field(bench.notes[0], "line"), "Trackers: iif[iface] nat64Prefix v6Addr -> v4Addr v4iif[v4iface] [netId]");
  EXPECT_EQ(field(bench.notes[1], "line"), "  2[up0] 2001:db8:64::/96 " + clat().addresses->v6.text() +
                                               " -> 192.0.0.4 " + std::to_string(clat().tun) + "[v4-up0] [0]");
}

}  // namespace
}  // namespace clat::plan::test
