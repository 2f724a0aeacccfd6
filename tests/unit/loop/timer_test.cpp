#include "supervisor/loop/timer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "fixture.hpp"

namespace clat::loop {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class OwnTimer : public LoopTest {};

TEST_F(OwnTimer, CallsOnceNotBeforeItsTime) {
  int calls = 0;
  Timer timer(*loop_, [&] { ++calls; });
  const auto begin = steady_clock::now();
  timer.start(milliseconds(20));
  loop_->run();  // ends when nothing is left to wait for
  EXPECT_EQ(calls, 1);
  EXPECT_GE(steady_clock::now() - begin, milliseconds(19));  // libuv counts whole milliseconds
}

TEST_F(OwnTimer, StartedAgainReplacesTheFirst) {
  int calls = 0;
  Timer timer(*loop_, [&] { ++calls; });
  timer.start(hours(1));
  timer.start({});
  loop_->run();
  EXPECT_EQ(calls, 1);
}

TEST_F(OwnTimer, StoppedDoesNotCall) {
  Timer timer(*loop_, [] { FAIL(); });
  timer.start({});
  timer.stop();
  loop_->run();
}

TEST_F(OwnTimer, MayEndInItsOwnCall) {
  std::optional<Timer> timer;
  timer.emplace(*loop_, [&] { timer.reset(); });
  timer->start({});
  loop_->run();
  EXPECT_FALSE(timer);
}

TEST_F(OwnTimer, EndedDoesNotCall) {
  {
    Timer timer(*loop_, [] { FAIL(); });
    timer.start({});
  }
  loop_->run();
}

}  // namespace
}  // namespace clat::loop
