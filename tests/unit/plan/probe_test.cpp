// Where the config wishes it, an address behind the NAT64 is pinged; one that is silent leaves IPv4 to other uplinks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>

#include "fake_edge.hpp"
#include "supervisor/plan/status.hpp"

namespace clat::plan::test {
namespace {

using namespace std::chrono_literals;

class ProbeTest : public testing::Test {
 protected:
  ProbeTest() { config.interfaces[0].probe = config::Probe{*Ipv4Address::parse("192.0.0.170"), 30s}; }
  void bring_up() {
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  [[nodiscard]] bool has(Part part) const { return bench.edge.has("up0", part); }
  long count(std::string_view event) { return std::ranges::count(bench.notes, event, &Note::event); }
  [[nodiscard]] const Clat& clat() const { return bench.app.world().clats.at("up0"); }
  void fall_silent() {
    bench.edge.no_answer = Error{"no answer", 0};
    bench.advance(90s);
  }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(ProbeTest, NobodyIsPingedUnlessThatIsWished) {
  config.interfaces[0].probe.reset();
  bring_up();
  bench.advance(1h);
  EXPECT_TRUE(bench.edge.pings.empty());
}

TEST_F(ProbeTest, OnePingInEachInterval) {
  bring_up();
  EXPECT_EQ(count("clat.up"), 1);
  ASSERT_EQ(bench.edge.pings.size(), 1U);
  const auto& ping = bench.edge.pings[0];
  EXPECT_EQ(ping.tun, clat().tun);
  EXPECT_EQ(ping.source, clat().addresses->v4);
  EXPECT_EQ(ping.target.text(), "192.0.0.170");
  EXPECT_EQ(ping.patience, 3s);
  bench.advance(5min);
  EXPECT_EQ(bench.edge.pings.size(), 11U);
  std::set<std::uint64_t> nonces;
  for (const auto& each : bench.edge.pings) nonces.insert(each.echo.nonce);
  EXPECT_EQ(nonces.size(), 11U) << "each has one of its own";
}

TEST_F(ProbeTest, AnAnswerIsWaitedForNoLongerThanTheInterval) {
  config.interfaces[0].probe->interval = 1s;
  bring_up();
  EXPECT_EQ(bench.edge.pings.at(0).patience, 1s);
}

TEST_F(ProbeTest, ThreeWithoutAnAnswerLeaveIpv4ToOthersAndTheClatAsItIs) {
  bring_up();
  bench.edge.no_answer = Error{"no answer", 0};
  bench.advance(89s);
  EXPECT_EQ(count("clat.down"), 0);
  EXPECT_EQ(status_of(bench.app.world(), "up0", clat(), bench.now).probe->failures, 2U);
  const auto executed = bench.edge.executed.size();
  bench.advance(1s);
  ASSERT_EQ(count("clat.down"), 1);
  EXPECT_EQ(field(*bench.last("clat.down"), "reason_code"), "probe");
  EXPECT_EQ(field(*bench.last("clat.down"), "reason"), "no answer from 192.0.0.170 through the NAT64");
  EXPECT_FALSE(has(Part::route));
  for (const Part part : {Part::announce, Part::fast_path, Part::child, Part::setup}) EXPECT_TRUE(has(part));
  EXPECT_EQ(bench.edge.executed.size(), executed + 1) << "the default route, and nothing else";
  EXPECT_EQ(clat().state, State::waiting);

  const auto pings = bench.edge.pings.size();
  bench.advance(5min);
  EXPECT_EQ(bench.edge.pings.size(), pings + 10);
  bench.edge.no_answer.reset();
  bench.advance(30s);
  EXPECT_EQ(count("clat.up"), 2);
  EXPECT_TRUE(has(Part::route));
}

TEST_F(ProbeTest, ThreeInARow) {
  bring_up();
  for (int i = 0; i < 5; ++i) {
    bench.edge.no_answer = Error{"no answer", 0};
    bench.advance(60s);
    bench.edge.no_answer.reset();
    bench.advance(30s);
  }
  EXPECT_EQ(count("clat.down"), 0);
}

TEST_F(ProbeTest, WhatFailsHereSaysNothingOfTheNat64) {
  bring_up();
  bench.edge.no_answer = Error{"socket", EMFILE};
  bench.advance(1h);
  EXPECT_EQ(count("clat.down"), 0);
}

TEST_F(ProbeTest, WhereNoDefaultRouteIsWishedItIsSaidAllTheSame) {
  config.interfaces[0].route_metric.reset();
  bring_up();
  fall_silent();
  EXPECT_EQ(count("clat.down"), 1);
  bench.edge.no_answer.reset();
  bench.advance(30s);
  EXPECT_EQ(count("clat.up"), 2);
}

TEST_F(ProbeTest, AReloadAddsAndRemovesIt) {
  bring_up();
  fall_silent();
  ASSERT_EQ(count("clat.down"), 1);
  const auto wish = std::exchange(config.interfaces[0].probe, std::nullopt);
  bench.load(config);
  EXPECT_EQ(count("clat.up"), 2) << "nobody doubts it any more";
  const auto pings = bench.edge.pings.size();
  bench.advance(1h);
  EXPECT_EQ(bench.edge.pings.size(), pings);
  const auto executed = bench.edge.executed.size();
  config.interfaces[0].probe = wish;
  bench.load(config);
  EXPECT_EQ(bench.edge.pings.size(), pings + 1);
  EXPECT_EQ(bench.edge.executed.size(), executed);
}

TEST_F(ProbeTest, AnotherIntervalForgetsNothing) {
  bring_up();
  fall_silent();
  config.interfaces[0].probe->interval = 5s;
  const auto pings = bench.edge.pings.size();
  bench.load(config);
  EXPECT_EQ(bench.edge.pings.size(), pings + 1) << "at once";
  EXPECT_EQ(count("clat.up"), 1);
  config.interfaces[0].probe->address = *Ipv4Address::parse("192.0.0.171");
  bench.load(config);
  EXPECT_EQ(count("clat.up"), 2) << "of that one nothing is known";
}

// It is not up again for a minute and a half each time that the cable is touched.
TEST_F(ProbeTest, OneThatIsSilentStaysSoWhenTheLinkComesBack) {
  bring_up();
  fall_silent();
  bench.link("up0", 2, true, false);
  const auto pings = bench.edge.pings.size();
  bench.advance(5min);
  EXPECT_EQ(bench.edge.pings.size(), pings) << "without a carrier";
  bench.link("up0", 2);
  EXPECT_EQ(count("clat.up"), 1);
  EXPECT_EQ(bench.edge.pings.size(), pings + 1) << "asked at once";
  bench.edge.no_answer.reset();
  bench.link("up0", 2, true, false);
  bench.link("up0", 2);
  EXPECT_EQ(count("clat.up"), 2);
}

TEST_F(ProbeTest, AnAnswerThatComesTooLateIsNotHeard) {
  bring_up();
  fall_silent();
  const auto late = bench.edge.pings.back();
  bench.handle(PingEnded{"up0", late.echo.nonce, {}});
  EXPECT_EQ(count("clat.up"), 1);
  bench.edge.pings_end = false;
  bench.advance(30s);
  const auto ping = bench.edge.pings.back();
  bench.advance(1h);
  EXPECT_EQ(bench.edge.pings.back(), ping) << "one at a time";
  bench.handle(PingEnded{"up0", ping.echo.nonce + 1, {}});
  EXPECT_EQ(count("clat.up"), 1);
  bench.handle(PingEnded{"up0", ping.echo.nonce, {}});
  EXPECT_EQ(count("clat.up"), 2);
}

TEST_F(ProbeTest, AStopDoesNotWait) {
  bench.edge.pings_end = false;
  bring_up();
  bench.handle(StopRequested{SIGTERM});
  EXPECT_TRUE(bench.app.done());
}

}  // namespace
}  // namespace clat::plan::test
