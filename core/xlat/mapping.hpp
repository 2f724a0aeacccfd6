// Addresses of one family to those of the other, on both sides of the translator.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"
#include "core/xlat/bytes.hpp"
#include "core/xlat/verdict.hpp"

namespace clat::xlat {

struct Halves {
  std::uint64_t high = 0, low = 0;
  bool operator==(const Halves&) const = default;
};

inline Halves load_halves(const std::uint8_t* address) { return {load_be64(address), load_be64(address + 8)}; }
inline void store_halves(std::uint8_t* at, const Halves& address) {
  store_be64(at, address.high);
  store_be64(at + 8, address.low);
}
inline Sum sum(std::uint32_t v4) { return big_endian(v4); }
inline Sum sum(const Halves& v6) {
  const std::uint64_t high = big_endian(v6.high), low = big_endian(v6.low);
  return (high & 0xffffffff) + (high >> 32) + (low & 0xffffffff) + (low >> 32);
}

// No host's address: RFC 1812 §5.3.7.
constexpr bool is_nobody(std::uint32_t v4) {
  const std::uint32_t first = v4 >> 24;
  return first == 0 || first == 127 || first >> 4 == 0xe || v4 >> 16 == 0xa9fe || v4 == 0xffffffff;
}

// An RFC 6052 prefix, by shifts instead of byte by byte. It agrees with Nat64Prefix::embed and extract, and is for the
// packet path.
class Mapping {
 public:
  Mapping() = default;
  explicit Mapping(const Nat64Prefix& prefix)
      : prefix_(load_halves(prefix.address().bytes.data())),
        high_mask_(prefix.length() >= 64 ? ~0ULL : ~0ULL << (64 - prefix.length())),
        low_mask_(prefix.length() == 96 ? ~0xffffffffULL : 0),
        shift_(prefix.length() - 32) {}

  // RFC 6052 §2.2. Up to /64 the 32 bits begin at bit `length` and step over octet 8: seen as 64 bits without that
  // octet, their upper half ends the high part, their lower half lies 24 bits above the end of the low part.
  [[nodiscard]] Halves embed(std::uint32_t v4) const {
    if (low_mask_ != 0) return {prefix_.high, prefix_.low | v4};
    const std::uint64_t spread = (std::uint64_t{v4} << 32) >> shift_;
    return {prefix_.high | spread >> 32, (spread & 0xffffffff) << 24};
  }
  [[nodiscard]] bool contains(const Halves& v6) const {
    return ((v6.high ^ prefix_.high) & high_mask_) == 0 && ((v6.low ^ prefix_.low) & low_mask_) == 0;
  }
  // RFC 6052 §2.3, of an address inside the prefix.
  [[nodiscard]] std::uint32_t extract(const Halves& v6) const {
    if (low_mask_ != 0) return static_cast<std::uint32_t>(v6.low);
    const std::uint64_t spread = v6.high << 32 | (v6.low >> 24 & 0xffffffff);
    return static_cast<std::uint32_t>(spread << shift_ >> 32);
  }
  [[nodiscard]] bool is_well_known() const { return prefix_ == Halves{0x0064ff9b'00000000, 0} && low_mask_ != 0; }

 private:
  Halves prefix_;
  std::uint64_t high_mask_ = 0, low_mask_ = 0;
  unsigned shift_ = 0;
};

// Everybody behind the NAT64.
class PeerSide : public Mapping {
 public:
  PeerSide(const Nat64Prefix& prefix, bool allow_private_ipv4)
      : Mapping(prefix), refuses_private_(is_well_known() && !allow_private_ipv4) {}

  // Whether packets with this peer may be translated: `translated`, or why not.
  [[nodiscard]] Verdict judge(std::uint32_t v4) const {
    if (is_nobody(v4)) return Verdict::bad_address;
    // RFC 6052 §3.1: the Well-Known Prefix must not carry RFC 1918 addresses.
    if (refuses_private_ && (v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8)) {
      return Verdict::private_in_wkp;
    }
    return Verdict::translated;
  }

 private:
  bool refuses_private_;
};

constexpr std::size_t kMostRanges = 8;

// The CLAT's own pair of addresses, and those of the ranges behind it.
class OwnSide {
 public:
  OwnSide(const Ipv4Address& v4, const Ipv6Address& v6, std::span<const RangeMapping> ranges);

  // The counterpart of an address that is ours.
  [[nodiscard]] std::optional<Halves> find(std::uint32_t v4) const {
    if (v4 == v4_) return v6_;
    return count_ == 0 ? std::nullopt : find_in_ranges(v4);
  }
  [[nodiscard]] std::optional<std::uint32_t> find(const Halves& v6) const {
    if (v6 == v6_) return v4_;
    return count_ == 0 ? std::nullopt : find_in_ranges(v6);
  }
  [[nodiscard]] const Halves& v6() const { return v6_; }

 private:
  struct Range {
    std::uint32_t network = 0, mask = 0;
    Mapping mapping;
    [[nodiscard]] bool contains(std::uint32_t v4) const { return (v4 & mask) == network && !is_nobody(v4); }
  };
  [[nodiscard]] std::optional<Halves> find_in_ranges(std::uint32_t v4) const;
  [[nodiscard]] std::optional<std::uint32_t> find_in_ranges(const Halves& v6) const;

  std::uint32_t v4_;
  Halves v6_;
  std::size_t count_;
  std::array<Range, kMostRanges> ranges_;
};

struct Sides {
  OwnSide own;
  PeerSide peers;
};

}  // namespace clat::xlat
