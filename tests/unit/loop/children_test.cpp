#include "supervisor/loop/children.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fd.hpp"
#include "fixture.hpp"
#include "supervisor/loop/signals.hpp"

namespace clat::loop {
namespace {

namespace fs = std::filesystem;
using model::ChildAnswered;
using model::ChildExited;
using model::ChildMute;
using model::ChildOutput;
using model::ChildReady;
using Strings = std::vector<std::string>;

std::size_t open_fds() {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
}

class ChildrenTest : public LoopTest {
 protected:
  ChildrenTest() {
    Signals::block();  // what children must not inherit
    children_.emplace(*loop_, sink(), [this](const std::string& uplink, int pid, const control::Report* report) {
      reports_.push_back({uplink, pid, report == nullptr ? std::nullopt : std::optional(*report)});
      check();
    });
  }

  ~ChildrenTest() override {
    children_.reset();
    while (::waitpid(-1, nullptr, 0) > 0) continue;  // whom that killed; the next test counts zombies
  }

  Launch launch(Strings deed, const std::string& uplink = "up0") {
    deed.insert(deed.begin(), "clatd-" + uplink);
    return {uplink, CLAT_LOOP_CHILD, std::move(deed), {tun_.get()}};
  }
  int spawn(Strings deed, const std::string& uplink = "up0") {
    const auto pid = children_->spawn(launch(std::move(deed), uplink));
    EXPECT_TRUE(pid) << pid.error().text();
    return pid.value_or(0);
  }
  void run_until_exits(std::size_t count = 1) {
    run_until([this, count] { return all<ChildExited>().size() >= count; });
  }
  [[nodiscard]] Strings lines() const {
    Strings found;
    for (const auto& output : all<ChildOutput>()) found.push_back(output.line);
    return found;
  }
  // The loop has nothing more to wait for, so closed handles are freed.
  void settle() { loop_->run(); }

  Fd tun_{::memfd_create("tun", MFD_CLOEXEC)};
  struct Reported {
    std::string uplink;
    int pid = 0;
    std::optional<control::Report> report;
  };
  std::vector<Reported> reports_;
  std::optional<Children> children_;
};

TEST_F(ChildrenTest, HaveFiveDescriptorsAndNothingElseOfOurs) {
  const Fd inherited(::dup(tun_.get()));  // without close-on-exec
  spawn({"inspect"});
  run_until_exits();
  const auto seen = lines();
  ASSERT_EQ(seen.size(), 9U) << ::testing::PrintToString(seen);
  EXPECT_EQ(seen[0], "fd 0 /dev/null");
  EXPECT_TRUE(seen[1].starts_with("fd 1 pipe:[")) << seen[1];
  EXPECT_EQ(seen[2], "fd 2" + seen[1].substr(4));
  EXPECT_EQ(seen[3], "fd 3 /memfd:tun (deleted)");
  EXPECT_TRUE(seen[4].starts_with("fd 4 socket:[")) << seen[4];
  EXPECT_EQ(seen[5], "SigBlk:\t0000000000000000");
  EXPECT_EQ(seen[6], "SigIgn:\t0000000000000000");
  EXPECT_EQ(seen[7], "environment 0");
  EXPECT_EQ(seen[8], "name clatd-up0");
}

// libuv 1.44 puts the child's descriptors where its own pipe for the error of exec may be: with a table of this size it
// reports success, and writes the errno into one of them.
TEST_F(ChildrenTest, WithEightQueuesGetEachDescriptorInItsPlaceAndTellThatExecFailed) {
  std::vector<Fd> queues;
  auto with_queues = launch({"inspect"});
  for (int i = 1; i < 8; ++i) {
    queues.emplace_back(::memfd_create(("queue" + std::to_string(i)).c_str(), MFD_CLOEXEC));
    with_queues.fds.push_back(queues.back().get());
  }
  auto missing = with_queues;
  missing.path = "/nonexistent/clatd";
  EXPECT_EQ(children_->spawn(missing).error().code, ENOENT);
  ASSERT_TRUE(children_->spawn(with_queues));
  run_until_exits();
  const auto seen = lines();
  ASSERT_EQ(seen.size(), 16U) << ::testing::PrintToString(seen);
  EXPECT_EQ(seen[3], "fd 3 /memfd:tun (deleted)");
  EXPECT_TRUE(seen[4].starts_with("fd 4 socket:[")) << seen[4];
  for (std::size_t i = 1; i < 8; ++i) {
    const auto expected = "fd " + std::to_string(4 + i) + " /memfd:queue" + std::to_string(i) + " (deleted)";
    EXPECT_EQ(seen[4 + i], expected);
  }
}

TEST_F(ChildrenTest, WithoutAControlSocketGetTheOthersInARow) {
  const Fd packet(::memfd_create("packet", MFD_CLOEXEC));
  auto android = launch({"inspect"});
  android.fds.push_back(packet.get());
  android.control = false;
  ASSERT_TRUE(children_->spawn(android));
  run_until_exits();
  const auto seen = lines();
  ASSERT_EQ(seen.size(), 9U) << ::testing::PrintToString(seen);
  EXPECT_EQ(seen[3], "fd 3 /memfd:tun (deleted)");
  EXPECT_EQ(seen[4], "fd 4 /memfd:packet (deleted)");
  EXPECT_TRUE(all<ChildMute>().empty());
}

TEST_F(ChildrenTest, TellTheirStatusAndSignal) {
  const int first = spawn({"exit", "3"});
  const int second = spawn({"die", std::to_string(SIGUSR1)}, "up1");
  run_until_exits(2);
  for (const auto& exit : all<ChildExited>()) {
    const bool is_first = exit.pid == first;
    EXPECT_EQ(exit.uplink, is_first ? "up0" : "up1");
    EXPECT_EQ(exit.pid, is_first ? first : second);
    EXPECT_EQ(exit.status, is_first ? 3 : 0);
    EXPECT_EQ(exit.signal, is_first ? 0 : SIGUSR1);
  }
}

TEST_F(ChildrenTest, AreKeptApartByPidWhenTheyOverlap) {
  const int old_one = spawn({"wait"});
  const int new_one = spawn({"wait"});
  ASSERT_TRUE(children_->signal("up0", old_one, SIGTERM));
  run_until_exits();
  EXPECT_EQ(all<ChildExited>()[0].pid, old_one);
  EXPECT_FALSE(children_->owns(old_one));
  EXPECT_TRUE(children_->owns(new_one));
  ASSERT_TRUE(children_->signal("up0", new_one, SIGKILL));
  run_until_exits(2);
  EXPECT_EQ(all<ChildExited>()[1].pid, new_one);
  EXPECT_EQ(all<ChildExited>()[1].signal, SIGKILL);
}

TEST_F(ChildrenTest, AreSignalledUnderTheirOwnUplinkOnly) {
  const int pid = spawn({"wait"});
  EXPECT_EQ(children_->signal("up1", pid, SIGKILL).error().code, ESRCH);
  EXPECT_EQ(children_->signal("up0", pid + 1, SIGKILL).error().code, ESRCH);
  EXPECT_EQ(children_->signal("up0", ::getpid(), SIGKILL).error().code, ESRCH);
  ASSERT_TRUE(children_->signal("up0", pid, SIGTERM));
  run_until_exits();
  EXPECT_EQ(all<ChildExited>()[0].signal, SIGTERM);
  EXPECT_EQ(children_->signal("up0", pid, SIGTERM).error().code, ESRCH);
}

// A process of somebody else's that got a given pid. Choosing a pid needs privileges: without them there is none.
class Recycled {
 public:
  explicit Recycled(pid_t pid) {
    std::array<int, 2> started{};
    std::array<int, 2> lifeline{};
    EXPECT_EQ(::pipe2(started.data(), O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(lifeline.data(), O_CLOEXEC), 0);
    parent_ = ::fork();
    if (parent_ == 0) {
      ::close(lifeline[1]);
      live_as(pid, started[1], lifeline[0]);
    }
    ::close(started[1]);
    ::close(lifeline[0]);
    lifeline_ = Fd(lifeline[1]);
    char byte = 0;
    EXPECT_EQ(::read(started[0], &byte, 1), 1);
    ::close(started[0]);
  }
  // Whether it lived until now.
  bool end() {
    lifeline_.reset();
    int status = 0;
    return ::waitpid(parent_, &status, 0) == parent_ && status == 0;
  }

 private:
  [[noreturn]] static void live_as(pid_t pid, int started, int lifeline) {
    clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    arguments.set_tid = reinterpret_cast<std::uintptr_t>(&pid);
    arguments.set_tid_size = 1;
    char byte = 0;
    const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
    if (child == 0) ::_exit(::read(lifeline, &byte, 1) == 0 ? 0 : 1);
    const bool told = ::write(started, &byte, 1) == 1;
    int status = 0;
    if (child > 0) ::waitpid(child, &status, 0);
    ::_exit(told && status == 0 ? 0 : 1);
  }

  pid_t parent_ = -1;
  Fd lifeline_;
};

// Between libuv's wait and its callback the pid may be somebody else's.
TEST_F(ChildrenTest, AreNotSignalledOnceTheyWereWaitedFor) {
  const int pid = spawn({"exit", "0"});
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  Recycled recycled(pid);
  const auto signalled = children_->signal("up0", pid, SIGKILL);
  ASSERT_FALSE(signalled);
  EXPECT_EQ(signalled.error().text(), "signal clatd " + std::to_string(pid) + ": No such process");
  children_.reset();
  EXPECT_TRUE(recycled.end());
}

TEST_F(ChildrenTest, ThatCannotBeExecutedAreAnErrorAndLeaveNothing) {
  std::string folder = ::testing::TempDir() + "clat-children-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string not_executable = folder + "/clatd";
  std::ofstream(not_executable) << "text";
  Launch missing = launch({});
  missing.path = folder + "/missing";
  Launch forbidden = launch({});
  forbidden.path = not_executable;

  static_cast<void>(children_->spawn(missing));  // libuv's own descriptors are open from here on
  settle();
  const std::size_t before = open_fds();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(children_->spawn(missing).error().text(),
              "start " + missing.path + ": uv_spawn: No such file or directory");
    EXPECT_EQ(children_->spawn(forbidden).error().text(), "start " + forbidden.path + ": uv_spawn: Permission denied");
  }
  settle();
  EXPECT_EQ(open_fds(), before);
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no zombie either
  fs::remove_all(folder);
}

TEST_F(ChildrenTest, LeaveNoDescriptorWhenTheyEnd) {
  spawn({"exit", "0"});
  run_until_exits(1);
  settle();
  const std::size_t before = open_fds();
  for (std::size_t i = 0; i < 50; ++i) {
    spawn({"exit", "0"});
    run_until_exits(i + 2);
  }
  settle();
  EXPECT_EQ(open_fds(), before);
}

TEST_F(ChildrenTest, SpeakBeforeTheirExitIsTold) {
  spawn({"print", "one\n\x1b[2Jtwo"});
  run_until_exits();
  EXPECT_EQ(lines(), (Strings{"one", "\x1b[2Jtwo"}));
  EXPECT_TRUE(std::holds_alternative<ChildExited>(events_.back()));
}

TEST_F(ChildrenTest, SpeakOnStderrToo) {
  const int pid = spawn({"print", "to stderr\n", "stderr"});
  run_until_exits();
  ASSERT_EQ(all<ChildOutput>().size(), 1U);
  const auto output = all<ChildOutput>()[0];
  EXPECT_EQ(output.uplink, "up0");
  EXPECT_EQ(output.pid, pid);
  EXPECT_EQ(output.line, "to stderr");
  EXPECT_EQ(output.suppressed, 0U);
}

TEST_F(ChildrenTest, ThatFloodAreCutShortAndCounted) {
  constexpr int kLines = 100000;
  spawn({"flood", std::to_string(kLines)});
  run_until_exits();
  const auto output = all<ChildOutput>();
  EXPECT_LT(output.size(), 200U);  // 20, then 5 a second, for less than half a minute
  std::uint64_t total = output.size();
  for (const auto& each : output) total += each.suppressed;
  EXPECT_EQ(total, std::uint64_t{kLines});
  EXPECT_EQ(output.back().line, "line " + std::to_string(kLines - 1));
}

TEST_F(ChildrenTest, TellWhenTheyAreReady) {
  const int pid = spawn({"serve"});
  run_until([this] { return !all<ChildReady>().empty(); });
  const auto ready = all<ChildReady>()[0];
  EXPECT_EQ(ready.uplink, "up0");
  EXPECT_EQ(ready.pid, pid);
  EXPECT_EQ(ready.drained, 7U);
}

TEST_F(ChildrenTest, AnswerRequestsForTheirCounters) {
  const int pid = spawn({"serve"});
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(children_->request_report("up0"));
    run_until([this, i] { return reports_.size() == i; });
    const auto& latest = reports_.back();
    EXPECT_EQ(latest.uplink, "up0");
    EXPECT_EQ(latest.pid, pid);
    ASSERT_TRUE(latest.report);
    EXPECT_EQ(latest.report->to_ipv6.packets, 100 * i);
  }
}

TEST_F(ChildrenTest, OfAnotherUplinkAreNotAsked) {
  spawn({"serve"});
  EXPECT_EQ(children_->request_report("up1").error().code, ESRCH);
}

TEST_F(ChildrenTest, ThatDieInsteadOfAnsweringAreNotWaitedFor) {
  spawn({"mute"});
  ASSERT_TRUE(children_->request_report("up0"));
  run_until_exits();
  EXPECT_EQ(all<ChildExited>()[0].status, 5);
  ASSERT_EQ(reports_.size(), 1U);
  EXPECT_EQ(reports_[0].uplink, "up0");
  EXPECT_FALSE(reports_[0].report);
}

TEST_F(ChildrenTest, AreToldTheMtusOfTheirUplink) {
  const int pid = spawn({"obey"});
  EXPECT_EQ(children_->tell_mtus("up1", pid, 1500, 1280).error().code, ESRCH);
  ASSERT_TRUE(children_->tell_mtus("up0", pid, 1500, 1480));
  run_until_exits();
  EXPECT_EQ(all<ChildExited>()[0].status, 20);
}

TEST_F(ChildrenTest, ThatAnswerAreToldApartFromThoseThatCannotAnyMore) {
  const int pid = spawn({"serve"});
  ASSERT_TRUE(children_->tell_mtus("up0", pid, 1500, 1280));
  ASSERT_TRUE(children_->request_report("up0"));
  run_until([this] { return !all<ChildAnswered>().empty(); });
  EXPECT_EQ(all<ChildAnswered>()[0].pid, pid);
  const int silent = spawn({"fall silent"}, "up1");
  run_until([this] { return !all<ChildMute>().empty(); });
  EXPECT_EQ(all<ChildMute>()[0].pid, silent);
  EXPECT_EQ(all<ChildMute>()[0].reason, "it closed its control socket");
  EXPECT_TRUE(all<ChildExited>().empty());
  EXPECT_EQ(children_->tell_mtus("up1", silent, 1500, 1280).error().code, EPIPE);
}

TEST_F(ChildrenTest, ThatLiedAndLiveOnAreMute) {
  spawn({"lie", "ready twice", "and wait"});
  run_until([this] { return !all<ChildMute>().empty(); });
  EXPECT_EQ(all<ChildMute>()[0].reason, "its control socket was closed: ready for the second time");
}

struct Lie {
  std::string how;
  std::string remark;  // empty: none
  std::size_t ready = 0;
};

class HostileChild : public ChildrenTest, public ::testing::WithParamInterface<Lie> {};

TEST_P(HostileChild, IsNotBelieved) {
  spawn({"lie", GetParam().how});
  run_until_exits();
  EXPECT_EQ(lines(), GetParam().remark.empty() ? Strings{} : Strings{"control socket closed: " + GetParam().remark});
  EXPECT_EQ(all<ChildReady>().size(), GetParam().ready);
  EXPECT_EQ(all<ChildExited>()[0].status, 0);
}

const std::string kSize = std::to_string(sizeof(control::Report));

INSTANTIATE_TEST_SUITE_P(
    Lies, HostileChild,
    ::testing::Values(
        Lie{"short",
            "control message of " + std::to_string(sizeof(control::Report) - 1) + " bytes instead of " + kSize},
        Lie{"long", "control message of " + std::to_string(sizeof(control::Report) + 1) + " bytes instead of " + kSize},
        Lie{"empty", ""},  // looks like the end
        Lie{"version", "control message of version 3 instead of 2"}, Lie{"kind", "control message of kind 77"},
        Lie{"request", "control message of kind 2"}, Lie{"ready twice", "ready for the second time", 1},
        Lie{"unasked report", "a report that nobody asked for"}),
    [](const auto& each) {
      std::string name = each.param.how;
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

TEST_F(ChildrenTest, CannotPassDescriptorsToUs) {
  spawn({"exit", "0"});
  run_until_exits(1);
  settle();
  const std::size_t before = open_fds();
  spawn({"smuggle"});
  run_until_exits(2);
  settle();
  EXPECT_EQ(all<ChildReady>().size(), 1U);
  EXPECT_EQ(all<ChildExited>()[1].status, 0);
  EXPECT_EQ(open_fds(), before);
}

TEST_F(ChildrenTest, DieWithTheObject) {
  const int pid = spawn({"wait"});
  children_.reset();
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  settle();
  EXPECT_TRUE(events_.empty());
}

TEST_F(ChildrenTest, ThatSomebodyElseWaitedForAreFoundByReconcile) {
  const int pid = spawn({"print", "last words"});
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  children_->reconcile();
  run_until_exits();
  EXPECT_EQ(lines(), (Strings{"last words"}));
  EXPECT_EQ(all<ChildExited>()[0].pid, pid);
  EXPECT_EQ(all<ChildExited>()[0].status, -1);
  EXPECT_FALSE(children_->owns(pid));
}

TEST_F(ChildrenTest, FoundByReconcileHadTheirMessagesRead) {
  const int pid = spawn({"lie", "ready twice"});
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  children_->reconcile();
  run_until_exits();
  EXPECT_TRUE(std::holds_alternative<ChildReady>(events_[0]));
  EXPECT_EQ(lines(), (Strings{"control socket closed: ready for the second time"}));
  EXPECT_TRUE(std::holds_alternative<ChildExited>(events_.back()));
}

TEST_F(ChildrenTest, WhoseExitWasNotToldAreFoundByReconcile) {
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child_signal, nullptr);
  const int pid = spawn({"exit", "3"});
  siginfo_t info{};
  ASSERT_EQ(::sigwaitinfo(&child_signal, &info), SIGCHLD);  // lost to libuv
  ::sigprocmask(SIG_UNBLOCK, &child_signal, nullptr);
  children_->reconcile();
  run_until_exits();
  EXPECT_EQ(all<ChildExited>()[0].pid, pid);
  EXPECT_EQ(all<ChildExited>()[0].status, 3);
}

TEST_F(ChildrenTest, ThatRunAreLeftAloneByReconcile) {
  const int pid = spawn({"wait"});
  children_->reconcile();
  loop_->arm(std::chrono::steady_clock::now());
  run_until([this] { return !all<model::Tick>().empty(); });
  EXPECT_TRUE(children_->owns(pid));
  EXPECT_TRUE(all<ChildExited>().empty());
}

TEST_F(ChildrenTest, OneWithAGroupOfItsOwnIsEndedWithAllThatItStarted) {
  const auto ended = [this] { return !all<ChildExited>().empty(); };
  const std::string script = "sleep 1000 & trap 'exit 7' TERM; echo \"$! $CLAT\"; wait";
  const auto pid = children_->spawn({.uplink = "up0",
                                     .path = "/bin/sh",
                                     .argv = {"sh", "-c", script},
                                     .fds = {},
                                     .control = false,
                                     .environment = {"CLAT=yes", "PATH=/usr/bin:/bin"},
                                     .own_group = true});
  ASSERT_TRUE(pid) << pid.error().text();
  run_until([this] { return !all<ChildOutput>().empty(); });
  const auto line = all<ChildOutput>()[0].line;
  EXPECT_NE(line.find(" yes"), std::string::npos) << line;
  EXPECT_EQ(::getpgid(*pid), *pid);
  const int grandchild = std::atoi(line.c_str());
  ASSERT_EQ(::getpgid(grandchild), *pid);
  ASSERT_TRUE(children_->signal("up0", *pid, SIGTERM));
  run_until(ended);
  EXPECT_EQ(all<ChildExited>()[0].status, 7);
  const auto gone = [&] {
    std::ifstream file("/proc/" + std::to_string(grandchild) + "/cmdline");
    return file.peek() == std::ifstream::traits_type::eof();
  };
  while (!gone()) ::usleep(1000);  // the alarm ends a test that waits for ever
}

}  // namespace
}  // namespace clat::loop
