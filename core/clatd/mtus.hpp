// MTUs as clatd is told them, and how they reach its threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "core/net/mtu.hpp"
#include "core/xlat/translator.hpp"

namespace clat::clatd {

constexpr std::uint32_t kDefaultMtu = 1500;

constexpr bool is_ipv6_mtu(std::uint32_t bytes) { return bytes >= kIpv6MinimumMtu && bytes <= kLargestIpv6Mtu; }

// One writer, any number of readers. Both numbers travel in one word, so nobody sees one of them changed alone.
class SharedMtus {
 public:
  // Both is_ipv6_mtu().
  SharedMtus(std::uint32_t ipv6, std::uint32_t lowest_ipv6) { set(ipv6, lowest_ipv6); }

  void set(std::uint32_t ipv6, std::uint32_t lowest_ipv6) {
    word_.store(ipv6 << 16 | std::min(ipv6, lowest_ipv6), std::memory_order_relaxed);
  }
  // Differs whenever the MTUs do.
  [[nodiscard]] std::uint32_t word() const { return word_.load(std::memory_order_relaxed); }

  static xlat::Mtus unpack(std::uint32_t word) { return {.ipv6 = word >> 16, .lowest_ipv6 = word & 0xffff}; }

 private:
  std::atomic<std::uint32_t> word_;
};

}  // namespace clat::clatd
