#include "supervisor/loop/command.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <optional>

#include "fixture.hpp"
#include "supervisor/loop/signals.hpp"

namespace clat::loop {
namespace {

using namespace std::chrono_literals;

class CommandTest : public LoopTest {
 protected:
  CommandTest() { Signals::block(); }  // what programs must not inherit

  void start(const std::string& script, std::string_view input = "", std::chrono::milliseconds patience = 30s) {
    auto started = Command::start(*loop_, {"sh", "-c", script}, input, patience, [this](Result<> ended) {
      EXPECT_FALSE(ended_) << "told twice";
      ended_ = std::move(ended);
      command_.reset();
      check();
    });
    ASSERT_TRUE(started) << started.error().text();
    command_ = std::move(*started);
  }
  Result<> end() {
    EXPECT_FALSE(ended_) << "not in a later turn of the loop";
    run_until([this] { return ended_.has_value(); });
    return ended_.value_or(failure("it did not end"));
  }

  std::unique_ptr<Command> command_;
  std::optional<Result<>> ended_;
};

TEST_F(CommandTest, ReadsItsInputToTheEnd) {
  const std::string input(300'000, 'x');  // more than a pipe holds
  start("test $(wc -c) = 300000", input);
  EXPECT_TRUE(end());
}

TEST_F(CommandTest, ItsWordsAreTheError) {
  start("echo said; echo 'line 1: no' >&2; echo 'such chain' >&2; exit 3");
  EXPECT_EQ(end().error().text(), "sh: line 1: no such chain");
}

TEST_F(CommandTest, WithoutAWordTheStatusIs) {
  start("exit 3");
  EXPECT_EQ(end().error().text(), "sh: status 3");
}

TEST_F(CommandTest, OfManyWordsTheFirst) {
  start("seq 100000 >&2; exit 1");
  EXPECT_LT(end().error().text().size(), 600U);
}

TEST_F(CommandTest, IsKilledWhenItTakesTooLong) {
  start("exec sleep 1000", "", 50ms);
  const int pid = command_->pid();
  EXPECT_EQ(end().error().text(), "sh did not end within 50ms");
  EXPECT_NE(::kill(pid, 0), 0);
}

// In a storm of signals libuv may miss a SIGCHLD.
TEST_F(CommandTest, ALostSignalIsMadeUpFor) {
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  sigset_t before;
  ASSERT_EQ(::sigprocmask(SIG_BLOCK, &child_signal, &before), 0);
  start("exit 0", "", 100ms);
  siginfo_t info{};
  ASSERT_EQ(::sigwaitinfo(&child_signal, &info), SIGCHLD);  // lost to libuv
  ASSERT_EQ(::sigprocmask(SIG_SETMASK, &before, nullptr), 0);
  EXPECT_TRUE(end());
}

TEST_F(CommandTest, AProgramThatIsNotThereSaysSo) {
  const auto started = Command::start(*loop_, {"/no/such/program"}, "", 1s, [](const Result<>&) { FAIL(); });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ENOENT);
  EXPECT_EQ(started.error().text(), "start /no/such/program: uv_spawn: No such file or directory");
}

TEST_F(CommandTest, GoesWithItsOwner) {
  start("exec sleep 1000");
  const int pid = command_->pid();
  command_.reset();
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED), 0);
  EXPECT_EQ(info.si_status, SIGKILL);
  EXPECT_FALSE(ended_);
}

}  // namespace
}  // namespace clat::loop
