// The Internet checksum (RFC 1071) on byte strings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace clat {

// One's complement sum of 16-bit big-endian words, not yet folded; an odd last byte is padded with zero.
// Sums can be added to each other as long as every part but the last has an even length.
constexpr std::uint32_t checksum_add(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  std::size_t i = 0;
  std::uint64_t wide = sum;
  for (; i + 1 < bytes.size(); i += 2) wide += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  if (i < bytes.size()) wide += static_cast<std::uint32_t>(bytes[i] << 8);
  while (wide >> 32 != 0) wide = (wide & 0xffffffff) + (wide >> 32);
  return static_cast<std::uint32_t>(wide);
}

// Folds a sum to 16 bits. The checksum field holds the complement of this.
constexpr std::uint16_t checksum_fold(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace clat
