// Reading, writing and summing packet bytes. Loads are unaligned and native; the one's complement sum does not care
// about byte order as long as every word of it has the same (RFC 1071 §2 B), so sums are taken natively, too.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace clat::xlat {

template <class Integer>
Integer load(const std::uint8_t* at) {
  Integer value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class Integer>
void store(std::uint8_t* at, Integer value) {
  std::memcpy(at, &value, sizeof value);
}

// Host to network order and back.
template <class Integer>
constexpr Integer big_endian(Integer value) {
  if constexpr (std::endian::native == std::endian::little) return std::byteswap(value);
  return value;
}
inline std::uint16_t load_be16(const std::uint8_t* at) { return big_endian(load<std::uint16_t>(at)); }
inline std::uint32_t load_be32(const std::uint8_t* at) { return big_endian(load<std::uint32_t>(at)); }
inline std::uint64_t load_be64(const std::uint8_t* at) { return big_endian(load<std::uint64_t>(at)); }
inline void store_be16(std::uint8_t* at, std::uint16_t value) { store(at, big_endian(value)); }
inline void store_be32(std::uint8_t* at, std::uint32_t value) { store(at, big_endian(value)); }
inline void store_be64(std::uint8_t* at, std::uint64_t value) { store(at, big_endian(value)); }

// A one's complement sum of native words, to be folded at the end. 64 bits take four thousand million words.
using Sum = std::uint64_t;

constexpr std::uint16_t fold(Sum sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}
constexpr std::uint16_t complement(std::uint16_t word) { return static_cast<std::uint16_t>(~word); }
// What to add to subtract `sum`: the constant is a multiple of 0xffff, one's complement zero, and more than any
// packet's.
constexpr Sum minus(Sum sum) { return 0xffff'0000'0000 - sum; }

inline Sum sum4(const std::uint8_t* address) { return load<std::uint32_t>(address); }
inline Sum sum16(const std::uint8_t* address) {
  return Sum{load<std::uint32_t>(address)} + load<std::uint32_t>(address + 4) + load<std::uint32_t>(address + 8) +
         load<std::uint32_t>(address + 12);
}
inline Sum sum20(const std::uint8_t* header) { return sum16(header) + load<std::uint32_t>(header + 16); }
// An odd last byte counts as the first of a word whose other byte is 0.
inline Sum sum_bytes(const std::uint8_t* at, std::size_t size) {
  Sum even = 0, odd = 0;
  for (; size >= 16; size -= 16, at += 16) {
    even += Sum{load<std::uint32_t>(at)} + load<std::uint32_t>(at + 8);
    odd += Sum{load<std::uint32_t>(at + 4)} + load<std::uint32_t>(at + 12);
  }
  for (; size >= 2; size -= 2, at += 2) even += load<std::uint16_t>(at);
  if (size == 1) {
    const std::uint8_t last[2] = {*at, 0};
    even += load<std::uint16_t>(last);
  }
  return even + odd;
}

}  // namespace clat::xlat
