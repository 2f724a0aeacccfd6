// Exponential backoff with jitter, as values.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

#include "config/config.hpp"

namespace clat::plan {

// SplitMix64 (Steele, Lea, Flood 2014): enough to spread retries and to make an interface id, seeded from the kernel.
// It lives in the World, so that apply() needs nothing from outside.
struct Random {
  std::uint64_t state = 0;

  constexpr std::uint64_t next() {
    std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  bool operator==(const Random&) const = default;
};

struct Backoff {
  unsigned failures = 0;  // in a row

  // The delay after one more failure: min(max, initial * factor^failures), spread evenly over +-jitter of it.
  std::chrono::milliseconds fail(const config::Restart& policy, Random& random) {
    const auto ceiling = static_cast<double>(policy.max.count());
    const double plain =
        std::min(ceiling, static_cast<double>(policy.initial.count()) * std::pow(policy.factor, failures));
    ++failures;
    const double unit = static_cast<double>(random.next() >> 11) * 0x1p-53;  // [0, 1)
    const double spread = policy.jitter == 0 ? 1 : 1 + policy.jitter * (2 * unit - 1);
    return std::chrono::milliseconds(std::llround(std::min(plain * spread, ceiling)));
  }
  void succeed() { failures = 0; }

  bool operator==(const Backoff&) const = default;
};

// For everything but clatd, whose delays the operator sets: trying again costs little, and the cause may go unnoticed.
constexpr config::Restart kRetry{
    .initial = std::chrono::milliseconds(100), .max = std::chrono::seconds(10), .jitter = 0};

}  // namespace clat::plan
