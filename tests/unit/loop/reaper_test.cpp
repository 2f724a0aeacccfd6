#include "supervisor/loop/reaper.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <set>
#include <string>

#include "core/base/fd.hpp"
#include "fixture.hpp"
#include "supervisor/loop/children.hpp"

namespace clat::loop {
namespace {

class Subreaper : public LoopTest {
 protected:
  Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~Subreaper() override { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }

  void watch_strangers(const Children& children) {
    auto created = StrangerReaper::create(*loop_, [&](int pid) {
      const bool ours = children.owns(pid);
      if (!ours) strangers_.insert(pid);
      check();
      return ours;
    });
    ASSERT_TRUE(created) << created.error().text();
    reaper_.emplace(std::move(*created));
    loop_->arm(std::chrono::steady_clock::now() + std::chrono::hours(1));  // a reaper alone keeps no loop running
  }

  const Fd tun_{::eventfd(0, EFD_CLOEXEC)};
  std::set<int> strangers_;
  std::optional<StrangerReaper> reaper_;
};

TEST(StrangerReaper, IsNeededByPid1AndSubreapersOnly) {
  EXPECT_FALSE(StrangerReaper::needed());
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  EXPECT_TRUE(StrangerReaper::needed());
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_F(Subreaper, ReapsOrphansAndLeavesOurChildrenToLibuv) {
  constexpr std::size_t kFamilies = 20;
  Children children(*loop_, sink(), [](const std::string&, int, const control::Report*) {});
  watch_strangers(children);
  std::set<int> ours;
  for (std::size_t i = 0; i < kFamilies; ++i) {
    const auto pid = children.spawn({"up0", CLAT_LOOP_CHILD, {"clatd-up0", "orphan"}, {tun_.get()}});
    ASSERT_TRUE(pid) << pid.error().text();
    ours.insert(*pid);
  }
  run_until([&] { return all<model::ChildExited>().size() == kFamilies && strangers_.size() == kFamilies; });
  for (const auto& exit : all<model::ChildExited>()) {
    EXPECT_EQ(ours.erase(exit.pid), 1U);
    EXPECT_EQ(exit.status, 6);
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(Subreaper, ReapsWhoDiedBeforeItWasThere) {
  const pid_t stranger = ::fork();
  if (stranger == 0) ::_exit(0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(stranger), &info, WEXITED | WNOWAIT), 0);
  Children children(*loop_, sink(), [](const std::string&, int, const control::Report*) {});
  watch_strangers(children);
  EXPECT_EQ(strangers_, (std::set<int>{stranger}));
  EXPECT_EQ(::waitpid(stranger, nullptr, WNOHANG), -1);
}

// The zombie that waitid shows first is one of ours, which libuv has not collected.
TEST_F(Subreaper, ReapsAStrangerBehindOneOfOurs) {
  Children children(*loop_, sink(), [](const std::string&, int, const control::Report*) {});
  const auto child = children.spawn({"up0", CLAT_LOOP_CHILD, {"clatd-up0", "exit", "0"}, {tun_.get()}});
  ASSERT_TRUE(child) << child.error().text();
  const pid_t stranger = ::fork();
  if (stranger == 0) ::_exit(0);
  siginfo_t info{};
  for (const int pid : {*child, stranger}) {
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  }
  watch_strangers(children);
  run_until([&] { return all<model::ChildExited>().size() == 1 && !strangers_.empty(); });
  EXPECT_EQ(strangers_, (std::set<int>{stranger}));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

}  // namespace
}  // namespace clat::loop
