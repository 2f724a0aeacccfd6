// NftMonitor against the kernel.
#include "supervisor/sources/nft_monitor.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "namespace_fixture.hpp"
#include "supervisor/loop/timer.hpp"

namespace clat::sources {
namespace {

using namespace std::chrono_literals;
using system::test::ok;
using system::test::run;
using Times = std::vector<model::TimePoint>;

class NftMonitorTest : public system::test::NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    ::alarm(60);  // what never happens fails the test
    auto created = loop::Loop::create([](const model::Event&) {});
    ASSERT_TRUE(ok(created));
    loop_ = std::move(*created);
    auto opened = NftMonitor::open(*loop_, [this](const model::Event& event) { take(event); });
    ASSERT_TRUE(ok(opened));
    monitor_ = std::move(*opened);
  }
  void TearDown() override {
    monitor_.reset();
    loop_.reset();
    ::alarm(0);
    NamespaceTest::TearDown();
  }
  void take(const model::Event& event) {
    ASSERT_TRUE(std::holds_alternative<model::NftablesChanged>(event));
    told_.push_back(std::chrono::steady_clock::now());
    if (told_.size() == enough_) loop_->stop();
  }
  // Until so many were told in all.
  void run_until(std::size_t told) {
    enough_ = told;
    if (told_.size() < told) loop_->run();
  }
  void run_for(std::chrono::milliseconds time) {
    loop::Timer timer(*loop_, [this] { loop_->stop(); });
    timer.start(time);
    loop_->run();
  }

  std::unique_ptr<loop::Loop> loop_;
  std::unique_ptr<NftMonitor> monitor_;
  Times told_;
  std::size_t enough_ = 0;
};

TEST_F(NftMonitorTest, TellsEachChangeOnce) {
  for (const char* change : {"add table inet t", "add chain inet t c", "add rule inet t c accept",
                             "add set inet t s { type ipv4_addr; }", "flush chain inet t c", "flush ruleset"}) {
    const auto before = told_.size();
    run("nft '" + std::string(change) + "'");
    run_until(before + 1);
    run_for(NftMonitor::kRest * 2);
    EXPECT_EQ(told_.size(), before + 1) << change;
  }
}

TEST_F(NftMonitorTest, TellsAtOnce) {
  run("nft add table inet t");
  run_for(NftMonitor::kRest / 2);
  EXPECT_EQ(told_.size(), 1U);
}

// More than any buffer holds: one word for all of them, and another for what came while it rested.
TEST_F(NftMonitorTest, TellsOfManyChangesOnceInAWhile) {
  const auto burst = [](const std::string& name) {
    run("i=0; while [ $i -lt 60 ]; do nft add table inet " + name + "$i; i=$((i+1)); done");
  };
  burst("a");
  run_until(1);
  burst("b");
  run_until(2);
  run_for(NftMonitor::kRest * 3);
  EXPECT_EQ(told_.size(), 2U);
  EXPECT_GE(told_[1] - told_[0], NftMonitor::kRest);
}

TEST_F(NftMonitorTest, KeepsSilentWhenNothingChanges) {
  run("nft list ruleset; ip link add dummy0 type dummy; nft list ruleset");
  run_for(NftMonitor::kRest * 2);
  EXPECT_EQ(told_.size(), 0U);
}

TEST_F(NftMonitorTest, MayEndWhenItTells) {
  auto opened = NftMonitor::open(*loop_, [&](const model::Event&) {
    monitor_.reset();
    loop_->stop();
  });
  ASSERT_TRUE(ok(opened));
  monitor_ = std::move(*opened);
  run("nft add table inet t");
  loop_->run();
  EXPECT_EQ(monitor_, nullptr);
}

}  // namespace
}  // namespace clat::sources
