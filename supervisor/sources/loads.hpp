// What a classic BPF program of a socket loads, and what it compares that with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/net/address.hpp"

namespace clat::sources {

constexpr std::uint32_t at(std::size_t offset) { return static_cast<std::uint32_t>(offset); }

// Of a 32-bit load, which comes in network byte order.
constexpr std::uint32_t word_of(const Ipv6Address& address, std::size_t index) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4; ++i) word = word << 8 | address.bytes[4 * index + i];
  return word;
}

}  // namespace clat::sources
