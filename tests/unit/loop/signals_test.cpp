#include "supervisor/loop/signals.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <vector>

#include "core/base/fd.hpp"
#include "fixture.hpp"
#include "supervisor/loop/children.hpp"

namespace clat::loop {
namespace {

class SignalsTest : public LoopTest {
 protected:
  SignalsTest() {
    auto created = Signals::create(*loop_, [this](int signal) {
      seen_.push_back(signal);
      check();
    });
    EXPECT_TRUE(created);
    if (created) signals_.emplace(std::move(*created));
  }

  [[nodiscard]] bool saw(int signal) const { return std::ranges::find(seen_, signal) != seen_.end(); }

  std::vector<int> seen_;
  std::optional<Signals> signals_;
};

TEST_F(SignalsTest, BecomeCallbacks) {
  const std::vector<int> wanted{SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGTERM};
  for (const int signal : wanted) {
    ::raise(signal);
    run_until([&] { return saw(signal); });
  }
  EXPECT_EQ(seen_, wanted);
}

TEST_F(SignalsTest, ThatCameBeforeAreNotLost) {
  signals_.reset();
  ::raise(SIGTERM);
  auto created = Signals::create(*loop_, [this](int signal) {
    seen_.push_back(signal);
    check();
  });
  ASSERT_TRUE(created);
  run_until([&] { return !seen_.empty(); });
  EXPECT_EQ(seen_, (std::vector{SIGTERM}));
}

TEST_F(SignalsTest, OfABrokenPipeAreIgnored) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ::close(ends[0]);
  EXPECT_EQ(::write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  ::close(ends[1]);
}

// The kernel would hand out SIGHUP, the lower number, first, and in a storm of it nothing else.
TEST_F(SignalsTest, PendingTogetherComeTheStopFirst) {
  for (const int signal : {SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGTERM}) ::raise(signal);
  run_until([&] { return saw(SIGHUP); });
  EXPECT_EQ(seen_, (std::vector{SIGTERM, SIGINT, SIGUSR2, SIGUSR1, SIGHUP}));
}

TEST_F(SignalsTest, AnEndlessStormHidesNoStop) {
  signals_.reset();
  auto created = Signals::create(*loop_, [&](int signal) {
    seen_.push_back(signal);
    ::raise(SIGHUP);  // pending again before anything else is read
    check();
  });
  ASSERT_TRUE(created);
  ::raise(SIGHUP);
  run_until([&] { return seen_.size() == 100; });
  ::raise(SIGTERM);
  run_until([&] { return saw(SIGTERM) || seen_.size() > 1000; });
  EXPECT_TRUE(saw(SIGTERM));
}

TEST_F(SignalsTest, AnEndlessStormOfSigchldStopsNothing) {
  Children children(*loop_, sink(), [](const std::string&, int, const control::Report*) {});
  const Fd tun(::eventfd(0, EFD_CLOEXEC));
  const auto child = children.spawn({"up0", CLAT_LOOP_CHILD, {"clatd-up0", "wait"}, {tun.get()}});
  ASSERT_TRUE(child) << child.error().text();
  const pid_t supervisor = ::getpid();
  const pid_t storm = ::fork();
  if (storm == 0) {
    while (::getppid() == supervisor) ::kill(supervisor, SIGCHLD);
    ::_exit(0);
  }
  loop_->arm(std::chrono::steady_clock::now() + std::chrono::milliseconds(100));
  run_until([&] { return !all<model::Tick>().empty(); });
  ::kill(*child, SIGKILL);
  run_until([&] { return !all<model::ChildExited>().empty(); });
  ::raise(SIGTERM);
  run_until([&] { return saw(SIGTERM); });
  ::kill(storm, SIGKILL);
  EXPECT_EQ(::waitpid(storm, nullptr, 0), storm);
}

// libuv's own signal pipe loses both in such a storm.
TEST_F(SignalsTest, AStormHidesNeitherSigtermNorTheExitOfAChild) {
  Children children(*loop_, sink(), [](const std::string&, int, const control::Report*) {});
  const Fd tun(::eventfd(0, EFD_CLOEXEC));
  const auto child = children.spawn({"up0", CLAT_LOOP_CHILD, {"clatd-up0", "wait"}, {tun.get()}});
  ASSERT_TRUE(child) << child.error().text();

  // The loop is busy: something is always to be read, and reading takes a while.
  const Fd busy(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  auto watch = loop_->watch(busy.get(), [](Wake) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
    while (std::chrono::steady_clock::now() < until) continue;
  });
  ASSERT_TRUE(watch);

  const pid_t supervisor = ::getpid();
  const pid_t storm = ::fork();
  if (storm == 0) {
    for (int i = 0; i < 20000; ++i) {
      ::kill(supervisor, SIGHUP);
      if (i == 10000) {
        ::kill(supervisor, SIGTERM);
        ::kill(*child, SIGKILL);
      }
    }
    ::_exit(0);
  }
  run_until([&] { return saw(SIGTERM) && !all<model::ChildExited>().empty(); });
  EXPECT_EQ(::waitpid(storm, nullptr, 0), storm);
  EXPECT_TRUE(saw(SIGHUP));
  EXPECT_EQ(std::count(seen_.begin(), seen_.end(), SIGTERM), 1);
  EXPECT_EQ(all<model::ChildExited>().front().signal, SIGKILL);
}

}  // namespace
}  // namespace clat::loop
