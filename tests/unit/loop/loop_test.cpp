#include "supervisor/loop/loop.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <vector>

#include "core/base/fd.hpp"
#include "fixture.hpp"

namespace clat::loop {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class Timer : public LoopTest {};

TEST_F(Timer, IsNeverEarly) {
  // Something is always to be read, so that the loop looks at its timer at every moment.
  const Fd busy(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  const auto watch = loop_->watch(busy.get(), [](Wake) {});
  ASSERT_TRUE(watch);
  for (int i = 0; i < 200; ++i) {
    events_.clear();
    const auto due = steady_clock::now() + microseconds(37 * i);
    loop_->arm(due);
    run_until([&] { return !events_.empty(); });
    EXPECT_GE(steady_clock::now(), due);
  }
}

TEST_F(Timer, OfThePastTicksOnce) {
  loop_->arm(steady_clock::now() - std::chrono::hours(1));
  loop_->run();  // ends when nothing is left to wait for
  EXPECT_EQ(all<model::Tick>().size(), 1U);
}

TEST_F(Timer, ArmedAgainReplacesTheFirst) {
  loop_->arm(steady_clock::now() + std::chrono::hours(1));
  loop_->arm(steady_clock::now());
  loop_->run();
  EXPECT_EQ(all<model::Tick>().size(), 1U);
}

TEST_F(Timer, DisarmedDoesNotTick) {
  loop_->arm(steady_clock::now());
  loop_->disarm();
  loop_->run();
  EXPECT_TRUE(events_.empty());
}

TEST_F(Timer, TakesTheEndOfTime) {
  loop_->arm(model::TimePoint::max());
  loop_->disarm();
  loop_->run();
  EXPECT_TRUE(events_.empty());
}

TEST(TimerInItsOwnTick, LeavesATurnToWhatIsToBeRead) {
  constexpr int kMany = 100;
  Loop* self = nullptr;
  int ticks = 0;
  auto loop = Loop::create([&](const model::Event&) {
    if (++ticks < kMany)
      self->arm(steady_clock::now());
    else
      self->stop();
  });
  ASSERT_TRUE(loop);
  self = loop->get();
  const Fd readable(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  const auto watch = self->watch(readable.get(), [&](Wake) { self->stop(); });
  ASSERT_TRUE(watch);
  self->arm(steady_clock::now());
  self->run();
  EXPECT_LT(ticks, kMany);
}

TEST(TimerInItsOwnTick, CanBeArmed) {
  Loop* self = nullptr;
  int ticks = 0;
  auto loop = Loop::create([&](const model::Event&) {
    if (++ticks < 3) self->arm(steady_clock::now());
  });
  ASSERT_TRUE(loop);
  self = loop->get();
  self->arm(steady_clock::now());
  self->run();
  EXPECT_EQ(ticks, 3);
}

class WatchTest : public LoopTest {
 protected:
  Fd event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

TEST_F(WatchTest, CallsBackUntilAllIsReadAndMayEndInItsCallback) {
  ::eventfd_write(event_.get(), 1);
  int calls = 0;
  Watch watch;
  auto watched = loop_->watch(event_.get(), [&](Wake wake) {
    EXPECT_EQ(wake, Wake::readable);
    if (++calls == 3) watch.end();
  });
  ASSERT_TRUE(watched);
  watch = std::move(*watched);
  loop_->run();
  EXPECT_EQ(calls, 3);
}

TEST_F(WatchTest, WakesForWritingOnlyWhereThatIsAsked) {
  int calls = 0;
  std::optional<Watch> watch;
  const auto watch_for = [&](Until until) {
    auto watched = loop_->watch(
        event_.get(),
        [&](Wake) {
          ++calls;
          watch.reset();
        },
        until);
    ASSERT_TRUE(watched);
    watch.emplace(std::move(*watched));
  };
  watch_for(Until::writing);
  loop_->run();
  EXPECT_EQ(calls, 1);

  watch_for(Until::reading);  // of which there is nothing
  loop_->arm(steady_clock::now());
  run_until([&] { return !events_.empty(); });
  EXPECT_EQ(calls, 1);
}

TEST_F(WatchTest, RefusesWhatCannotBeWatched) {
  const auto watched = loop_->watch(-1, [](Wake) {});
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().text(), "uv_poll_init: Bad file descriptor");
}

TEST_F(WatchTest, RefusesASecondWatchOfOneDescriptor) {
  const auto first = loop_->watch(event_.get(), [](Wake) {});
  ASSERT_TRUE(first);
  const auto second = loop_->watch(event_.get(), [](Wake) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EEXIST);
}

sockaddr_in loopback(std::uint16_t port_be) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = port_be;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Fd bound_udp_socket(sockaddr_in& address) {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return fd;
}

// A socket error raises POLLERR, as an overrun does on a netlink socket.
TEST_F(WatchTest, SurvivesAnErrorOfTheDescriptor) {
  sockaddr_in here = loopback(0);
  sockaddr_in there = loopback(0);
  const Fd socket = bound_udp_socket(here);
  {
    const Fd reserved = bound_udp_socket(there);
  }
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
  char byte = 'x';
  ASSERT_EQ(::send(socket.get(), &byte, 1, 0), 1);  // nobody there: ECONNREFUSED is pending

  std::vector<Wake> wakes;
  auto watch = loop_->watch(socket.get(), [&](Wake wake) {
    wakes.push_back(wake);
    while (::recv(socket.get(), &byte, 1, 0) >= 0 || errno == ECONNREFUSED) continue;
    check();
  });
  ASSERT_TRUE(watch);
  run_until([&] { return !wakes.empty(); });
  const Fd peer = bound_udp_socket(there);
  ASSERT_EQ(::sendto(peer.get(), &byte, 1, 0, reinterpret_cast<const sockaddr*>(&here), sizeof here), 1);
  run_until([&] { return wakes.size() > 1; });
  EXPECT_EQ(wakes, (std::vector{Wake::broken, Wake::readable}));
}

TEST_F(WatchTest, MayEndInItsCallbackAboutAnError) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd near_end(ends[0]);
  char byte = 'x';
  ASSERT_EQ(::send(near_end.get(), &byte, 1, 0), 1);
  ::close(ends[1]);  // with something unread: ECONNRESET
  std::vector<Wake> wakes;
  Watch watch;
  auto watched = loop_->watch(near_end.get(), [&](Wake wake) {
    wakes.push_back(wake);
    watch.end();
  });
  ASSERT_TRUE(watched);
  watch = std::move(*watched);
  loop_->run();
  EXPECT_EQ(wakes, (std::vector{Wake::broken}));
}

}  // namespace
}  // namespace clat::loop
