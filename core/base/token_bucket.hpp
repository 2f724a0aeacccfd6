// A rate with bursts, without a clock of its own.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace clat {

// Threads may share one. They never wait for each other: one that meets another gets no token. This takes a flag,
// for 32-bit machines may lack an atomic time.
class TokenBucket {
 public:
  // `tokens` a period, and up to `burst` at once; 0 of either: never one.
  TokenBucket(std::uint32_t tokens, std::chrono::nanoseconds period, std::uint32_t burst)
      : interval_(tokens == 0 ? 0 : std::max<std::uint64_t>(1, static_cast<std::uint64_t>(period.count()) / tokens)),
        depth_(interval_ * burst) {}

  // `now` in nanoseconds, of a clock that does not go back.
  bool take(std::uint64_t now) {
    if (busy_.test_and_set(std::memory_order_acquire)) return false;
    const std::uint64_t next = std::max(full_at_, now) + interval_;
    const bool granted = depth_ != 0 && next <= now + depth_;
    if (granted) full_at_ = next;
    busy_.clear(std::memory_order_release);
    return granted;
  }

 private:
  std::uint64_t interval_, depth_;  // nanoseconds for one token, and for all
  std::uint64_t full_at_ = 0;       // when all tokens are back
  std::atomic_flag busy_;
};

}  // namespace clat
