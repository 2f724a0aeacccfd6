#include "supervisor/plan/backoff.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace clat::plan {
namespace {

using std::chrono::milliseconds;

config::Restart policy(double jitter) {
  return {.initial = milliseconds(100), .max = milliseconds(3000), .factor = 2, .jitter = jitter};
}

TEST(Backoff, DoublesUpToTheMaximumExactlyWithoutJitter) {
  Random random;
  Backoff backoff;
  std::vector<long> delays;
  for (int i = 0; i < 8; ++i) delays.push_back(backoff.fail(policy(0), random).count());
  EXPECT_EQ(delays, (std::vector<long>{100, 200, 400, 800, 1600, 3000, 3000, 3000}));
}

TEST(Backoff, StartsAnewAfterSuccess) {
  Random random;
  Backoff backoff;
  backoff.fail(policy(0), random);
  backoff.fail(policy(0), random);
  backoff.succeed();
  EXPECT_EQ(backoff.fail(policy(0), random).count(), 100);
}

TEST(Backoff, JitterSpreadsOverItsShareAndNeverAboveTheMaximum) {
  Random random{42};
  long low = 1'000'000;
  long high = 0;
  for (int i = 0; i < 2000; ++i) {
    Backoff backoff;
    const auto delay = backoff.fail(policy(0.2), random).count();
    low = std::min(low, delay);
    high = std::max(high, delay);
  }
  EXPECT_GE(low, 80);
  EXPECT_LE(low, 82);
  EXPECT_LE(high, 120);
  EXPECT_GE(high, 118);

  Backoff late{.failures = 50};
  for (int i = 0; i < 100; ++i) EXPECT_LE(late.fail(policy(0.2), random), milliseconds(3000));
}

TEST(Backoff, HugeCountsDoNotOverflow) {
  Random random;
  Backoff backoff{.failures = 4'000'000'000U};
  EXPECT_EQ(backoff.fail(policy(0), random), milliseconds(3000));
}

}  // namespace
}  // namespace clat::plan
