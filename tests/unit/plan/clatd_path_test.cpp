// Where clatd is the whole data path, IPv4 is there only while a clatd reads packets.
#include <gtest/gtest.h>

#include <csignal>

#include "core/net/clat_address.hpp"
#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using namespace std::chrono_literals;

class ClatdPathTest : public testing::Test {
 protected:
  void bring_up(config::FastPathMode mode = config::FastPathMode::off) {
    for (auto& each : config.interfaces) each.fast_path = mode;
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
    bench.link("up1", 3);
    bench.address(3, "2001:db8:1::1");
    ASSERT_TRUE(clat().up);
    bench.notes.clear();
  }
  void break_clatd() { bench.edge.failing[{"up0", Part::child}] = Error{"uv_spawn", ENOENT}; }
  void mend_clatd() { bench.edge.failing.clear(); }
  const Clat& clat() { return bench.app.world().clats.at("up0"); }
  bool has_route() { return bench.edge.has("up0", Part::route); }

  config::Config config = config_of(2);
  Bench bench;
};

TEST_F(ClatdPathTest, ARestartInTimeChangesNothing) {
  config.clatd.restart.initial = kClatdGrace - 1ms;
  bring_up();
  bench.edge.executed.clear();
  bench.kill_child("up0");
  bench.advance(1min);
  EXPECT_EQ(bench.edge.log_of("up0"), std::vector<std::string>{"make child"});
  EXPECT_EQ(bench.last("clat.down"), nullptr);
}

TEST_F(ClatdPathTest, WithoutAClatdTheDefaultRouteGoesAndComesBackWithIt) {
  bring_up();
  break_clatd();
  bench.kill_child("up0", SIGSEGV);
  bench.advance(kClatdGrace - 1ms);
  EXPECT_TRUE(has_route());
  EXPECT_EQ(bench.last("clat.down"), nullptr);
  bench.advance(1ms);
  EXPECT_FALSE(has_route());
  EXPECT_TRUE(bench.edge.has("up0", Part::announce)) << "the rest stays as it is";
  EXPECT_TRUE(bench.edge.has("up1", Part::route));
  EXPECT_EQ(field(*bench.last("clat.down", "up0"), "reason"),
            "no clatd is ready: the last one ended with " + bench.edge.failing.begin()->second.text());
  mend_clatd();
  bench.advance(30s);
  EXPECT_TRUE(has_route());
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(bench.last("clat.down", "up1"), nullptr);
}

TEST_F(ClatdPathTest, OneThatNeverGetsReadyIsNone) {
  bring_up();
  bench.edge.children_get_ready = false;
  bench.kill_child("up0");
  bench.advance(kClatdGrace);
  EXPECT_FALSE(has_route());
  EXPECT_NE(bench.edge.pid("up0"), 0);
  bench.handle(ChildReady{"up0", bench.edge.pid("up0"), 0});
  EXPECT_TRUE(has_route());
  EXPECT_TRUE(clat().up);
}

TEST_F(ClatdPathTest, OneThatIsGivenUpIsNoneAlsoWhileItDoesNotStop) {
  bring_up();
  bench.edge.obedient_children = false;
  bench.handle(ChildMute{"up0", bench.edge.pid("up0"), "it closed its control socket"});
  bench.advance(kLastLook + kClatdGrace);
  EXPECT_EQ(field(*bench.last("clat.down", "up0"), "reason"), "no clatd is ready: it closed its control socket");
  EXPECT_FALSE(has_route());
}

TEST_F(ClatdPathTest, OneThatRefusesItsArgumentsIsNone) {
  bring_up();
  const int pid = bench.edge.pid("up0");
  bench.edge.forget_child("up0");
  bench.handle(ChildExited{"up0", pid, 64, 0});
  bench.advance(kClatdGrace);
  EXPECT_EQ(field(*bench.last("clat.down", "up0"), "reason"), "no clatd is ready: it refused its arguments");
}

TEST_F(ClatdPathTest, OnTheFastPathNothingChanges) {
  bring_up(config::FastPathMode::automatic);
  break_clatd();
  bench.kill_child("up0");
  bench.advance(1h);
  EXPECT_TRUE(has_route());
  EXPECT_EQ(bench.last("clat.down"), nullptr);
}

TEST_F(ClatdPathTest, AFastPathThatComesOrGoesMeanwhileDecides) {
  bring_up(config::FastPathMode::automatic);
  break_clatd();
  bench.kill_child("up0");
  bench.advance(1min);
  const auto set_fast_path = [&](config::FastPathMode mode) {
    config.interfaces[0].fast_path = mode;
    bench.load(config);
  };
  set_fast_path(config::FastPathMode::off);
  EXPECT_FALSE(has_route());
  EXPECT_NE(bench.last("clat.down", "up0"), nullptr);
  set_fast_path(config::FastPathMode::automatic);
  EXPECT_TRUE(has_route());
  EXPECT_TRUE(clat().up);
}

TEST_F(ClatdPathTest, TheDefaultRouteOfAnEarlierSupervisorGoesToo) {
  break_clatd();
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1");
  const Nat64Prefix prefix = *config.interfaces[0].nat64_prefix;
  const Ipv4Address v4{{192, 0, 0, 4}};
  const RecordSpec record{.uplink = "up0",
                          .uplink_ifindex = 2,
                          .tun = "v4-up0",
                          .leg = Leg::routed,
                          .metric = 2048,
                          .v4 = v4,
                          .v6 = make_clat_ipv6({*Ipv6Address::parse("2001:db8::"), 64}, v4, prefix, 1),
                          .prefix = prefix};
  bench.handle(RecordsFound{{record}});
  config.interfaces[0].fast_path = config::FastPathMode::off;
  bench.load(config);
  ASSERT_NE(bench.last("supervisor.adopted", "up0"), nullptr);
  bench.advance(kClatdGrace - 1ms);
  EXPECT_EQ(bench.edge.log_of("up0").back(), "make child") << "there may be one in time";
  bench.advance(1ms);
  EXPECT_EQ(bench.edge.log_of("up0").back(), "remove route");
  mend_clatd();
  bench.advance(30s);
  EXPECT_TRUE(has_route());
}

TEST_F(ClatdPathTest, AndroidsIsMissedUntilItHasRunForAWhile) {
  config.clatd.dialect = config::Dialect::aosp;
  bench.edge.children_get_ready = bench.edge.children_answer = false;
  bring_up();
  break_clatd();
  bench.kill_child("up0");
  bench.advance(1min);
  EXPECT_FALSE(has_route());
  mend_clatd();
  for (int i = 0; i < 3; ++i) {  // it starts, but does not live
    bench.advance(31s - kSteadyRun);
    bench.kill_child("up0");
  }
  bench.notes.clear();
  bench.advance(config.clatd.restart.max);
  EXPECT_EQ(bench.last("clat.up"), nullptr);
  bench.advance(kSteadyRun);
  EXPECT_NE(bench.last("clat.up"), nullptr);
  EXPECT_TRUE(has_route());
}

}  // namespace
}  // namespace clat::plan::test
