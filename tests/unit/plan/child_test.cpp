// What becomes of an uplink's clatd: the restart policy, and what shows that it is alive.
#include <gtest/gtest.h>

#include <csignal>

#include "fake_edge.hpp"
#include "supervisor/plan/status.hpp"

namespace clat::plan::test {
namespace {

using namespace std::chrono_literals;

class ChildTest : public testing::Test {
 protected:
  void bring_up() {
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
    ASSERT_TRUE(clat().up);
  }
  void exit_with(int status) {
    const int pid = bench.edge.pid("up0");
    bench.edge.forget_child("up0");
    bench.handle(ChildExited{"up0", pid, status, 0});
  }
  const Clat& clat() { return bench.app.world().clats.at("up0"); }
  ChildState state() { return status_of(bench.app.world(), "up0", clat(), bench.now).child.state; }
  const ChildSpec& arguments() { return std::get<ChildSpec>(*bench.edge.spec("up0", Part::child)); }
  std::string line_of_dump() {
    bench.notes.clear();
    bench.handle(DumpRequested{});
    return field(bench.notes.back(), "line");
  }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(ChildTest, IsHandedWhatItsUplinkAllows) {
  config.icmp_rate_per_second = 50;
  config.interfaces[0].queues = 4;
  config.interfaces[0].allow_private_ipv4 = false;
  config.interfaces[0].lowest_ipv6_mtu = 1280;
  bring_up();
  EXPECT_EQ(arguments().mtu, 1500U);
  EXPECT_EQ(arguments().lowest_ipv6_mtu, 1280U);
  EXPECT_EQ(arguments().icmp_rate, 50U);
  EXPECT_EQ(arguments().queues, 4U);
  EXPECT_FALSE(arguments().allow_private_ipv4);
  EXPECT_EQ(std::get<TunSpec>(*bench.edge.spec("up0", Part::tun)).shape, (TunShape{TunFormat::vnet, 4}));
}

TEST_F(ChildTest, KeepsRunningWhenTheMtuChangesAndIsToldTheNewOne) {
  bring_up();
  const int pid = bench.edge.pid("up0");
  bench.link("up0", 2, true, true, 1400);
  EXPECT_EQ(arguments().mtu, 1400U);
  EXPECT_EQ(arguments().lowest_ipv6_mtu, 1400U) << "auto: the uplink's";
  config.interfaces[0].lowest_ipv6_mtu = 1280;
  bench.load(config);
  EXPECT_EQ(arguments().lowest_ipv6_mtu, 1280U);
  EXPECT_EQ(bench.edge.pid("up0"), pid);
}

TEST_F(ChildTest, AnMtuBelowTheLeastOfIpv6CountsAsThat) {
  bench.edge.route = Route{Ipv6Address::parse("fe80::1"), 1000};
  bring_up();
  EXPECT_EQ(arguments().mtu, 1280U);
}

TEST_F(ChildTest, ThatCannotBeToldAnMtuIsReplacedByOneThatHasIt) {
  bring_up();
  const int pid = bench.edge.pid("up0");
  bench.edge.change_fails.insert(Part::child);
  bench.link("up0", 2, true, true, 1400);
  EXPECT_EQ(bench.edge.pid("up0"), pid);
  bench.advance(kLastLook + 100ms);
  EXPECT_NE(bench.edge.pid("up0"), pid);
  EXPECT_EQ(arguments().mtu, 1400U);
  EXPECT_TRUE(clat().up);
}

TEST_F(ChildTest, AnotherRateOrUserReplacesItAtOnce) {
  bring_up();
  const int pid = bench.edge.pid("up0");
  config.icmp_rate_per_second = 7;
  bench.load(config);
  EXPECT_NE(bench.edge.pid("up0"), pid);
  EXPECT_EQ(arguments().icmp_rate, 7U);
  EXPECT_EQ(bench.last("clat.backoff"), nullptr) << "it was asked to leave";
}

TEST_F(ChildTest, MoreQueuesNeedANewTun) {
  bring_up();
  const int tun = clat().tun;
  config.interfaces[0].queues = 2;
  bench.load(config);
  EXPECT_NE(clat().tun, tun);
  EXPECT_EQ(std::get<RecordSpec>(*bench.edge.spec("up0", Part::record)).shape.queues, 2U);
  EXPECT_TRUE(clat().up);
}

// --- liveness

TEST_F(ChildTest, ThatAnswersEachAuditIsLeftAlone) {
  bring_up();
  bench.advance(2s);  // no neighbour has the address
  const auto before = bench.edge.executed.size();
  bench.advance(1h);
  EXPECT_EQ(bench.edge.executed.size(), before);
  EXPECT_EQ(bench.last("clat.replaced"), nullptr);
}

TEST_F(ChildTest, ThatDoesNotAnswerIsStoppedThenKilledThenReplaced) {
  bring_up();
  const int pid = bench.edge.pid("up0");
  bench.edge.children_answer = false;
  bench.edge.obedient_children = false;
  bench.advance(config.audit_interval + kAnswerTimeout + kLastLook - 1ms);
  EXPECT_EQ(bench.last("clat.replaced"), nullptr);
  bench.edge.executed.clear();
  bench.advance(1ms);
  EXPECT_EQ(field(*bench.last("clat.replaced", "up0"), "reason"), "it did not answer within 5000ms");
  EXPECT_EQ(state(), ChildState::stopping);
  bench.edge.children_answer = true;
  bench.advance(config.clatd.stop_timeout);
  EXPECT_EQ(field(*bench.last("clat.exited"), "signal"), "SIGKILL");
  bench.advance(100ms);
  EXPECT_EQ(bench.edge.log_of("up0"), (std::vector<std::string>{"remove child", "kill child", "make child"}));
  EXPECT_NE(bench.edge.pid("up0"), pid);
  EXPECT_EQ(bench.last("clat.down"), nullptr) << "the fast path goes on";
}

TEST_F(ChildTest, WhoseAnswerWaitedWhileWeWereHeldUpLives) {
  bring_up();
  bench.edge.children_answer = false;
  bench.advance(config.audit_interval);
  bench.now += 1min;  // SIGSTOP, swapping, a kernel that takes its time: no event was taken
  bench.handle(Tick{});
  bench.handle(ChildAnswered{"up0", bench.edge.pid("up0")});
  bench.edge.children_answer = true;
  bench.advance(1min);
  EXPECT_EQ(bench.last("clat.replaced"), nullptr);
}

TEST_F(ChildTest, AnAnswerOfItsPredecessorDoesNotCount) {
  bring_up();
  const int old = bench.edge.pid("up0");
  bench.kill_child("up0");
  bench.edge.children_answer = false;
  bench.advance(config.audit_interval);
  bench.handle(ChildAnswered{"up0", old});
  bench.advance(kAnswerTimeout + kLastLook);
  EXPECT_NE(bench.last("clat.replaced"), nullptr);
}

TEST_F(ChildTest, WhoseControlSocketEndedIsReplacedUnlessItExitsByItself) {
  bring_up();
  bench.handle(ChildMute{"up0", bench.edge.pid("up0"), "it closed its control socket"});
  bench.kill_child("up0", SIGSEGV);
  bench.advance(10s);
  EXPECT_EQ(bench.last("clat.replaced"), nullptr);
  const int pid = bench.edge.pid("up0");
  bench.handle(ChildMute{"up0", pid, "it closed its control socket"});
  bench.advance(kLastLook);
  EXPECT_EQ(field(*bench.last("clat.replaced"), "reason"), "it closed its control socket");
  EXPECT_EQ(field(*bench.last("clat.backoff"), "reason"), "it closed its control socket");
  bench.advance(1s);
  EXPECT_NE(bench.edge.pid("up0"), pid);
}

TEST_F(ChildTest, ReplacedOverAndOverBacksOff) {
  bring_up();
  std::vector<std::string> delays;
  for (int i = 0; i < 3; ++i) {
    bench.handle(ChildMute{"up0", bench.edge.pid("up0"), "it closed its control socket"});
    bench.advance(kLastLook);
    delays.push_back(field(*bench.last("clat.backoff"), "delay"));
    bench.advance(5s);
  }
  EXPECT_EQ(delays, (std::vector<std::string>{"100ms", "200ms", "400ms"}));
}

// --- Android's

class AndroidTest : public ChildTest {
 protected:
  AndroidTest() {
    config.clatd.dialect = config::Dialect::aosp;
    config.interfaces[0].mark = 0xcafe;
    bench.edge.children_get_ready = bench.edge.children_answer = false;  // it has no words
  }
  // As an audit would find the tun's queue.
  void audit(bool waiting, std::uint64_t read) {
    bench.handle(Audited{.queues = {{"up0", TunQueue{.waiting = waiting, .packets_read = read}}}});
  }
};

TEST_F(AndroidTest, IsReadyAtOnceAndHasNetdsLines) {
  bring_up();
  EXPECT_EQ(arguments().mark, 0xcafeU);
  EXPECT_EQ(arguments().mtu, 0U) << "it cannot be told";
  EXPECT_EQ(std::get<TunSpec>(*bench.edge.spec("up0", Part::tun)).shape.format, TunFormat::packet_info);
  EXPECT_TRUE(std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)).packet_socket);
  EXPECT_EQ(field(*bench.last("netd.line"), "line"), "clatd started on up0");
}

TEST_F(AndroidTest, IsNotAskedAndNotMissed) {
  bring_up();
  bench.advance(1h);
  EXPECT_EQ(bench.last("clat.replaced"), nullptr);
}

TEST_F(AndroidTest, ThatReadsPacketsLivesHoweverManyWait) {
  bring_up();
  for (std::uint64_t read = 0; read < 100; ++read) {
    audit(true, read);
    bench.advance(1s);
  }
  audit(false, 0);
  audit(true, 99);
  bench.advance(1min);
  EXPECT_EQ(bench.last("clat.replaced"), nullptr) << "what waits for the first time is no sign";
}

TEST_F(AndroidTest, ThatLeavesPacketsInTheTunIsReplaced) {
  bring_up();
  const int pid = bench.edge.pid("up0");
  audit(true, 7);
  audit(true, 7);
  bench.advance(kAnswerTimeout + kLastLook + 100ms);
  EXPECT_EQ(field(*bench.last("clat.replaced"), "reason"), "it left packets in the tun for 5000ms");
  EXPECT_NE(bench.edge.pid("up0"), pid);
}

TEST_F(AndroidTest, WithoutTheFastPathTheAddressIsAnycast) {
  config.interfaces[0].fast_path = config::FastPathMode::off;
  bring_up();
  EXPECT_EQ(std::get<AnnounceSpec>(*bench.edge.spec("up0", Part::announce)).leg, Leg::anycast);
  EXPECT_FALSE(bench.edge.has("up0", Part::guard));
  EXPECT_EQ(field(*bench.last("clat.up"), "path"), "anycast");
}

// --- restart policy

TEST_F(ChildTest, ShowsWhyItIsNotRunningAndWhenItIsTriedAgain) {
  bring_up();
  EXPECT_EQ(state(), ChildState::running);
  bench.kill_child("up0", SIGSEGV);
  EXPECT_EQ(state(), ChildState::backoff);
  bench.advance(40ms);
  EXPECT_NE(line_of_dump().find(" clatd=backoff pid=0 restarts=0 next_start_in=60ms last_end=SIGSEGV "),
            std::string::npos)
      << line_of_dump();
}

TEST_F(ChildTest, ExitCodesAreNamed) {
  bring_up();
  exit_with(71);
  EXPECT_EQ(field(*bench.last("clat.exited"), "status"), "71");
  EXPECT_EQ(field(*bench.last("clat.exited"), "meaning"), "a system call failed");
  EXPECT_EQ(field(*bench.last("clat.backoff"), "reason"), "status 71");
}

TEST_F(ChildTest, FiveEndsWithinTenMinutesAreFlappingUntilARunIsStable) {
  bring_up();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(bench.last("clat.flapping"), nullptr);
    bench.advance(2min - 1s);  // each run is stable, each delay the first
    bench.kill_child("up0");
  }
  const auto* flapping = bench.last("clat.flapping");
  ASSERT_NE(flapping, nullptr);
  EXPECT_EQ(field(*flapping, "failures"), "5");
  EXPECT_EQ(field(*flapping, "within"), "476000ms");
  EXPECT_EQ(field(*flapping, "reason"), "SIGKILL");
  EXPECT_EQ(state(), ChildState::flapping);
  bench.advance(1s);
  EXPECT_EQ(state(), ChildState::flapping) << "it runs, but for how long?";
  EXPECT_NE(line_of_dump().find(" ends=5 within="), std::string::npos);
  bench.advance(1min);
  EXPECT_EQ(state(), ChildState::running);
}

TEST_F(ChildTest, SlowerEndsAreNoFlapping) {
  bring_up();
  for (int i = 0; i < 10; ++i) {
    bench.advance(3min);
    bench.kill_child("up0");
  }
  EXPECT_EQ(bench.last("clat.flapping"), nullptr);
}

TEST_F(ChildTest, StartsThatFailAreFlappingTooAndGoOnAtTheMaximumDelay) {
  bring_up();
  bench.edge.failing[{"up0", Part::child}] = Error{"uv_spawn", EAGAIN};
  bench.kill_child("up0");
  bench.advance(30min);
  EXPECT_NE(bench.last("clat.flapping"), nullptr);
  EXPECT_EQ(field(*bench.last("clat.backoff"), "delay"), "30000ms");
  EXPECT_EQ(field(*bench.last("clat.backoff"), "reason"), bench.edge.failing.begin()->second.text());
  EXPECT_TRUE(clat().up) << "the fast path carries the traffic";
  bench.edge.failing.clear();
  bench.advance(30s);
  EXPECT_TRUE(bench.edge.has("up0", Part::child));
}

TEST_F(ChildTest, ThatRefusesItsArgumentsIsNotStartedAgainWithThem) {
  bring_up();
  exit_with(64);
  EXPECT_EQ(state(), ChildState::failed);
  EXPECT_EQ(status_of(bench.app.world(), "up0", clat(), bench.now).state, State::failed);
  EXPECT_EQ(field(*bench.last("clat.failed"), "part"), "child");
  EXPECT_EQ(field(*bench.last("clat.exited"), "meaning"), "bad arguments");
  bench.advance(1h);
  EXPECT_FALSE(bench.edge.has("up0", Part::child));
  EXPECT_EQ(bench.last("clat.backoff"), nullptr);
  EXPECT_TRUE(bench.edge.has("up0", Part::fast_path));
}

TEST_F(ChildTest, ThatRefusedIsStartedWithOtherArguments) {
  bring_up();
  exit_with(64);
  bench.link("up0", 2, true, true, 1400);
  EXPECT_TRUE(bench.edge.has("up0", Part::child));
  EXPECT_EQ(state(), ChildState::running);
}

TEST_F(ChildTest, ThatRefusedIsStartedAgainByAReload) {
  bring_up();
  exit_with(64);
  bench.load(config);
  EXPECT_TRUE(bench.edge.has("up0", Part::child));
}

}  // namespace
}  // namespace clat::plan::test
