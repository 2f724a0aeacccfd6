#include <gtest/gtest.h>

#include <thread>

#include "core/clatd/counter.hpp"

namespace clat::clatd {
namespace {

template <class T>
class CounterTest : public testing::Test {};
using Kinds = testing::Types<WholeCounter, SplitCounter>;
TYPED_TEST_SUITE(CounterTest, Kinds);

TYPED_TEST(CounterTest, CarriesBeyond32Bits) {
  TypeParam counter;
  EXPECT_EQ(counter.value(), 0U);
  counter.add(0xffff'fffe);
  counter.add(1);
  EXPECT_EQ(counter.value(), 0xffff'ffffU);
  counter.add(1);
  EXPECT_EQ(counter.value(), 0x1'0000'0000U);
  counter.add(0x5'ffff'ffff);
  EXPECT_EQ(counter.value(), 0x6'ffff'ffffU);
}

// Steps of nearly 32 bits: a word of one moment with a word of another would be far off.
TYPED_TEST(CounterTest, NeverGoesBackOrAheadForAReader) {
  constexpr std::uint64_t kStep = 0xffff'fff1, kSteps = 2'000'000;
  TypeParam counter;
  std::atomic<std::uint64_t> done = 0;
  std::thread writer([&] {
    for (std::uint64_t n = 1; n <= kSteps; ++n) {
      counter.add(kStep);
      done.store(n, std::memory_order_release);
    }
  });
  std::uint64_t last = 0;
  bool orderly = true;
  for (std::uint64_t before = 0; before < kSteps && orderly;) {
    before = done.load(std::memory_order_acquire);
    const auto value = counter.value();
    // The writer may be one step further than it says.
    const auto after = done.load(std::memory_order_acquire) + 1;
    orderly = value >= last && value >= before * kStep && value <= after * kStep;
    last = value;
  }
  writer.join();
  EXPECT_TRUE(orderly) << last;
  EXPECT_EQ(counter.value(), kSteps * kStep);
}

}  // namespace
}  // namespace clat::clatd
