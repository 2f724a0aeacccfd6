// A number that one thread raises and any other may read at any time. Relaxed: each is right by itself, two of them
// need not be of the same moment.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace clat::clatd {

class WholeCounter {
 public:
  void add(std::uint64_t n) {
    // Not fetch_add: there is no second writer to be excluded.
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// For machines that cannot store 64 bits at once. A carry is announced before the lower word changes and confirmed
// after; a reader in between returns the value at the carry itself.
class SplitCounter {
 public:
  void add(std::uint64_t n) {
    const std::uint32_t high = announced_.load(std::memory_order_relaxed);
    const std::uint64_t sum = (std::uint64_t{high} << 32 | low_.load(std::memory_order_relaxed)) + n;
    const auto carried = static_cast<std::uint32_t>(sum >> 32);
    if (carried != high) announced_.store(carried, std::memory_order_relaxed);
    low_.store(static_cast<std::uint32_t>(sum), std::memory_order_release);
    if (carried != high) confirmed_.store(carried, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t value() const {
    const std::uint32_t confirmed = confirmed_.load(std::memory_order_acquire);
    const std::uint32_t low = low_.load(std::memory_order_acquire);
    const std::uint32_t announced = announced_.load(std::memory_order_relaxed);
    return std::uint64_t{announced} << 32 | (announced == confirmed ? low : 0);
  }

 private:
  std::atomic<std::uint32_t> announced_ = 0, low_ = 0, confirmed_ = 0;
};

using Counter = std::conditional_t<std::atomic<std::uint64_t>::is_always_lock_free, WholeCounter, SplitCounter>;

}  // namespace clat::clatd
