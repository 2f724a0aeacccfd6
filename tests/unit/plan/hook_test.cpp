// Hooks tell the operator's programs the state of a CLAT: at least once, in order, one at a time, and nobody waits.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using namespace std::chrono_literals;

class HookTest : public testing::Test {
 protected:
  HookTest() {
    config.interfaces[0].on_up = {"/up", "word"};
    config.interfaces[0].on_down = {"/down"};
  }
  void bring_up() {
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  void carrier(bool there) { bench.link("up0", 2, true, there); }
  // "+" and "-" for each hook that was run.
  std::string told() {
    std::string all;
    for (const auto& each : bench.edge.hooks) all += each.state.up ? '+' : '-';
    return all;
  }
  long count(std::string_view event) { return std::ranges::count(bench.notes, event, &Note::event); }
  void end(int status = 0, int signal = 0) {
    bench.edge.end_hook("up0", status, signal);
    bench.settle();
  }
  const HookState& last() { return bench.edge.hooks.back().state; }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(HookTest, EachStateIsTold) {
  bring_up();
  ASSERT_EQ(told(), "+");
  const auto& clat = bench.app.world().clats.at("up0");
  EXPECT_EQ(bench.edge.hooks[0].argv, config.interfaces[0].on_up);
  EXPECT_EQ(last(), (HookState{.up = true,
                               .tun = "v4-up0",
                               .v4 = clat.addresses->v4,
                               .v6 = clat.addresses->v6,
                               .prefix = config.interfaces[0].nat64_prefix,
                               .mtu = 1472}));
  auto down = last();
  carrier(false);
  ASSERT_EQ(told(), "+-");
  down.up = false;
  down.why = Why::no_carrier;
  EXPECT_EQ(last(), down);
  carrier(true);
  EXPECT_EQ(told(), "+-+");
  EXPECT_EQ(count("hook.done"), 3);
}

TEST_F(HookTest, TheSameStateIsToldOnce) {
  bring_up();
  bench.advance(1h);
  bench.load(config);
  bench.handle(KernelDumped{bench.app.world().kernel, true});
  EXPECT_EQ(told(), "+");
}

TEST_F(HookTest, NewValuesAreANewState) {
  bring_up();
  bench.link("up0", 2, true, true, 1400);
  ASSERT_EQ(told(), "++");
  EXPECT_EQ(last().mtu, 1372U);
  EXPECT_EQ(count("clat.down"), 0);
}

TEST_F(HookTest, TheClatWaitsForNoHook) {
  bench.edge.hooks_end = false;
  bring_up();
  EXPECT_EQ(count("clat.up"), 1);
  EXPECT_TRUE(bench.edge.has("up0", Part::route));
  carrier(false);
  EXPECT_EQ(count("clat.down"), 1);
  carrier(true);
  EXPECT_EQ(count("clat.up"), 2);
  EXPECT_EQ(told(), "+");
}

TEST_F(HookTest, WhileOneRunsOnlyTheNewestStateIsKept) {
  bench.edge.hooks_end = false;
  bring_up();
  carrier(false);
  carrier(true);
  carrier(false);
  EXPECT_EQ(told(), "+");
  end();
  EXPECT_EQ(told(), "+-");
  end();
  EXPECT_EQ(told(), "+-");
}

TEST_F(HookTest, AFlapThatIsOverIsNotTold) {
  bench.edge.hooks_end = false;
  bring_up();
  carrier(false);
  carrier(true);
  end();
  EXPECT_EQ(told(), "+");
}

// It may have failed half-way, and the state has been another since.
TEST_F(HookTest, AFlapDuringAHookThatFailsIsToldAgain) {
  bench.edge.hooks_end = false;
  bring_up();
  carrier(false);
  carrier(true);
  end(1);
  EXPECT_EQ(told(), "++");
}

TEST_F(HookTest, AFailureIsToldOnceAndNotTriedAgain) {
  bench.edge.hooks_end = false;
  bring_up();
  bench.handle(HookOutput{"up0", bench.edge.hook_pids.at("up0"), "no such zone", 3});
  end(3);
  bench.advance(1h);
  EXPECT_EQ(told(), "+");
  EXPECT_EQ(count("hook.failed"), 1);
  const auto* failed = bench.last("hook.failed", "up0");
  EXPECT_EQ(field(*failed, "state"), "up");
  EXPECT_EQ(field(*failed, "path"), "/up");
  EXPECT_EQ(field(*failed, "reason"), "status 3");
  EXPECT_EQ(field(*failed, "line"), "no such zone");
  const auto* output = bench.last("hook.output", "up0");
  EXPECT_EQ(field(*output, "line"), "no such zone");
  EXPECT_EQ(field(*output, "suppressed"), "3");
  carrier(false);
  EXPECT_EQ(told(), "+-");
}

TEST_F(HookTest, OneThatHangsIsEndedAndThenKilled) {
  bench.edge.hooks_end = false;
  bring_up();
  bench.advance(30s - 1ms);
  EXPECT_TRUE(bench.edge.hook_signals.empty());
  bench.advance(1ms);
  EXPECT_EQ(bench.edge.hook_signals, (std::vector{SIGTERM}));
  bench.advance(2s);
  EXPECT_EQ(bench.edge.hook_signals, (std::vector{SIGTERM, SIGKILL}));
  bench.advance(1h);
  EXPECT_EQ(bench.edge.hook_signals.size(), 2U);
  carrier(false);
  EXPECT_EQ(told(), "+") << "beside one that is not gone yet";
  end(0, SIGKILL);
  EXPECT_EQ(field(*bench.last("hook.failed", "up0"), "reason"), "it did not end within 30000ms");
  EXPECT_EQ(told(), "+-");
}

// It has gone on to the end when it was told to end.
TEST_F(HookTest, OneThatEndsWellOnlyWhenItIsToldToHasFailed) {
  bench.edge.hooks_end = false;
  bring_up();
  bench.advance(30s);
  end(0);
  EXPECT_EQ(count("hook.failed"), 1);
}

TEST_F(HookTest, OneThatCannotBeStartedHasFailed) {
  bench.edge.no_hook = HookStarted{"", failure("open /up", ENOENT)};
  bring_up();
  EXPECT_EQ(field(*bench.last("hook.failed", "up0"), "reason"), "open /up: No such file or directory");
  bench.edge.no_hook = HookStarted{"", failure("/down belongs to uid 7", EPERM), true};
  carrier(false);
  EXPECT_EQ(count("hook.failed"), 1);
  EXPECT_EQ(field(*bench.last("hook.refused", "up0"), "reason"), "/down belongs to uid 7: Operation not permitted");
  bench.edge.no_hook.reset();
  carrier(true);
  EXPECT_EQ(told(), "+-+");
}

// Whoever starts anew does not know what was told last; it may be about to come up, too.
TEST_F(HookTest, OneThatDoesNotComeUpIsToldAsDown) {
  bench.load(config);
  bench.link("up0", 2, false);
  bench.advance(10s - 1ms);
  EXPECT_EQ(told(), "");
  bench.advance(1ms);
  ASSERT_EQ(told(), "-");
  EXPECT_EQ(last(), (HookState{.tun = "v4-up0", .why = Why::link_down}));
  bench.advance(1h);
  EXPECT_EQ(told(), "-");
  bring_up();
  EXPECT_EQ(told(), "-+");
}

TEST_F(HookTest, WhereOneIsMissingItsStateCountsAsTold) {
  config.interfaces[0].on_down.clear();
  bring_up();
  carrier(false);
  carrier(true);
  EXPECT_EQ(told(), "++");
  EXPECT_EQ(count("hook.failed"), 0);
}

TEST_F(HookTest, AHookThatIsNewIsToldTheStateNow) {
  const auto hooks = config.interfaces[0];
  config.interfaces[0].on_up.clear();
  config.interfaces[0].on_down.clear();
  bring_up();
  bench.advance(1h);
  EXPECT_EQ(told(), "");
  const auto actions = bench.edge.executed.size();
  config.interfaces[0] = hooks;
  bench.load(config);
  EXPECT_EQ(told(), "+");
  config.interfaces[0].on_up[1] = "other";
  bench.load(config);
  EXPECT_EQ(told(), "++");
  EXPECT_EQ(bench.edge.hooks.back().argv[1], "other");
  config.interfaces[0].on_up.clear();
  bench.load(config);
  EXPECT_EQ(told(), "++");
  EXPECT_EQ(bench.edge.executed.size(), actions) << "the CLAT has nothing to do with it";
}

TEST_F(HookTest, OneThatIsStruckOffTheConfigIsToldByTheHooksItHad) {
  bench.edge.hooks_end = false;
  bring_up();
  end();
  config.interfaces[0].name = "up9";
  config.interfaces[0].tun = "v4-up9";
  bench.load(config);
  EXPECT_EQ(told(), "+-");
  EXPECT_EQ(last().why, Why::removed_from_config);
  bench.advance(1min);
  EXPECT_TRUE(bench.app.world().clats.contains("up0")) << "while its hook runs";
  end();
  EXPECT_FALSE(bench.app.world().clats.contains("up0"));
}

TEST_F(HookTest, AStopTellsThemAndWaits) {
  bring_up();
  bench.edge.hooks_end = false;
  bench.handle(StopRequested{SIGTERM});
  ASSERT_EQ(told(), "+-");
  EXPECT_EQ(last().why, Why::stopping);
  EXPECT_TRUE(bench.edge.is_empty());
  EXPECT_FALSE(bench.app.done());
  end();
  EXPECT_TRUE(bench.app.done());
}

// 10 s in all, with one before that does not end and another after it.
TEST_F(HookTest, AStopWaitsOnlySoLong) {
  bench.edge.hooks_end = false;
  bring_up();
  bench.handle(StopRequested{SIGTERM});
  bench.advance(3s);
  EXPECT_EQ(bench.edge.hook_signals, (std::vector{SIGTERM}));
  bench.advance(1s);
  EXPECT_EQ(bench.edge.hook_signals, (std::vector{SIGTERM, SIGKILL}));
  end(0, SIGKILL);
  EXPECT_EQ(told(), "+-");
  bench.advance(5s);
  EXPECT_EQ(bench.edge.hook_signals.size(), 3U);
  EXPECT_FALSE(bench.app.done());
  bench.advance(1s);
  end(0, SIGKILL);
  EXPECT_TRUE(bench.app.done());
}

TEST_F(HookTest, AStopDoesNotWaitForOneThatCannotBeKilled) {
  bench.edge.hooks_end = false;
  bring_up();
  bench.handle(StopRequested{SIGTERM});
  bench.advance(5s);
  EXPECT_TRUE(bench.app.done());
}

TEST_F(HookTest, AHandoverRunsNone) {
  bring_up();
  bench.handle(HandoverRequested{});
  EXPECT_EQ(told(), "+");
  EXPECT_TRUE(bench.app.done());
}

}  // namespace
}  // namespace clat::plan::test
