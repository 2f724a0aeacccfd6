// Addresses in and out of the NAT64 prefix, by shifts instead of byte by byte: what Nat64Prefix::embed and extract
// say, for the packet path.
#pragma once

#include <cstdint>

#include "core/net/prefix.hpp"
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

class Mapping {
 public:
  explicit Mapping(const Nat64Prefix& prefix)
      : prefix_(load_halves(prefix.address().bytes.data())),
        high_mask_(prefix.length() >= 64 ? ~0ULL : ~0ULL << (64 - prefix.length())),
        low_mask_(prefix.length() == 96 ? ~0xffffffffULL : 0),
        shift_(prefix.length() - 32),
        well_known_(prefix_ == Halves{0x0064ff9b'00000000, 0} && prefix.length() == 96) {}

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

  // Whether packets with this peer may be translated: `translated`, or why not.
  [[nodiscard]] Verdict judge_peer(std::uint32_t v4) const {
    const std::uint32_t first = v4 >> 24;
    if (first == 0 || first == 127 || first >> 4 == 0xe || v4 >> 16 == 0xa9fe || v4 == 0xffffffff) {
      return Verdict::bad_address;  // RFC 1812 §5.3.7
    }
    // RFC 6052 §3.1: the Well-Known Prefix must not carry RFC 1918 addresses.
    if (well_known_ && (first == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8)) return Verdict::private_in_wkp;
    return Verdict::translated;
  }

 private:
  Halves prefix_;
  std::uint64_t high_mask_, low_mask_;
  unsigned shift_;
  bool well_known_;
};

}  // namespace clat::xlat
