// clatd with several queues of a tun, a thread for each.
#include <algorithm>
#include <csignal>
#include <filesystem>

#include "clatd_fixture.hpp"
#include "tests/support/vector_parts.hpp"

namespace clat::clatd {
namespace {

class ClatdQueues : public ClatdProcess {
 protected:
  ClatdQueues() : second_(give_pair(5)), third_(give_pair(6)) {}
  static Words three() { return usual() + Words{"--queues", "3"}; }

  [[nodiscard]] std::size_t threads() const {
    const std::filesystem::directory_iterator tasks("/proc/" + std::to_string(pid()) + "/task");
    return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
  }

  Fd second_, third_;
};

TEST_F(ClatdQueues, EachHasAThreadAndTheMainOneTalks) {
  start_and_wait_until_ready(three());
  EXPECT_EQ(threads(), 4U);
  for (const Fd* queue : {&third_, &tun_, &second_}) {
    const auto& vector = vector_named("A1_version_6_and_flow_label_0");
    put(*queue, vector.input);
    EXPECT_EQ(take(*queue).size(), sizeof(xlat::VnetHeader) + vector.expected.at(0).size());
  }
  const auto report = ask_until([](const auto& r) { return r.to_ipv6.packets == 3; });
  EXPECT_EQ(report.to_ipv6.packets, 3U);
  EXPECT_EQ(report.to_ipv6.bytes, 3 * vector_named("A1_version_6_and_flow_label_0").input.size());
}

TEST_F(ClatdQueues, DrainsAllOfThemBeforeItIsReady) {
  const auto& stale = vector_named("A1_version_6_and_flow_label_0");
  put(tun_, stale.input);
  put(third_, stale.input);
  put(third_, stale.input);
  start(three());
  const auto ready = receive();
  ASSERT_TRUE(ready) << output();
  EXPECT_EQ(ready->drained, 3U);
  const auto& fresh = vector_named("G1_ihl_5_and_total_length");
  put(third_, fresh.input);
  EXPECT_EQ(take(third_).at(sizeof(xlat::VnetHeader)) >> 4, 4) << "a stale packet was replayed";
}

TEST_F(ClatdQueues, OneMakesNoThread) {
  start_and_wait_until_ready();
  EXPECT_EQ(threads(), 1U);
}

TEST_F(ClatdQueues, TheMtuReachesAllThreads) {
  start_and_wait_until_ready(three());
  ASSERT_TRUE(ask({.kind = control::Kind::mtus, .mtu = 1300, .lowest_ipv6_mtu = 1300}));
  const auto packet = test::packet(test::out4(test::neutral()), test::udp(test::counting(1400)));
  for (const Fd* queue : {&tun_, &second_, &third_}) {
    put(*queue, packet);
    EXPECT_LE(take(*queue).size(), sizeof(xlat::VnetHeader) + 1300);
  }
}

TEST_F(ClatdQueues, SaysThatTheTunIsGoneFromAnyThread) {
  start_and_wait_until_ready(three());
  second_.reset();
  EXPECT_EQ(finish(), 71);
  EXPECT_TRUE(output().starts_with("clatd: the tun device is gone"));
}

TEST_F(ClatdQueues, EndOnSigterm) {
  start_and_wait_until_ready(three());
  signal(SIGTERM);
  EXPECT_EQ(finish(), 0);
}

TEST_F(ClatdQueues, EndWithTheSupervisor) {
  start_and_wait_until_ready(three());
  control_.reset();
  EXPECT_EQ(finish(), 0);
  EXPECT_EQ(output(), "");
}

}  // namespace
}  // namespace clat::clatd
