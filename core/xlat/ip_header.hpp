// The parts of IP headers that translation leaves out or rewrites: options, extension headers, fragmentation.
#pragma once

#include "core/xlat/bytes.hpp"
#include "core/xlat/transport.hpp"
#include "core/xlat/verdict.hpp"

namespace clat::xlat {

// RFC 791 §2.3, RFC 8200 §4.5: the offset's unit is 8 bytes in both.
struct Fragment {
  bool present = false;  // is a fragment, or has a Fragment Header all the same
  bool more = false;
  std::uint16_t offset = 0;  // in units of 8 bytes
  std::uint32_t id = 0;

  [[nodiscard]] Part part() const {
    if (offset != 0) return Part::later;
    return more ? Part::first : Part::whole;
  }
  // Whether a piece of `size` bytes can be one.
  [[nodiscard]] Verdict judge(std::size_t size) const {
    const bool odd_end = more && size % 8 != 0;
    const bool too_far = offset * std::size_t{8} + size > 0xffff - kIpv4Header;
    return odd_end || (too_far && offset != 0) ? Verdict::bad_fragment : Verdict::translated;
  }
};

// Of an IPv4 header, the fields behind the Total Length.
inline Fragment read_ipv4_fragment(const std::uint8_t* ip) {
  const std::uint16_t field = load_be16(ip + 6);
  const auto offset = static_cast<std::uint16_t>(field & 0x1fff);
  const bool more = (field & 0x2000) != 0;
  return {offset != 0 || more, more, offset, load_be16(ip + 4)};
}

inline void store_fragment_header(std::uint8_t* at, std::uint8_t next, const Fragment& fragment) {
  const auto offset_and_flag = static_cast<std::uint16_t>(fragment.offset << 3 | (fragment.more ? 1 : 0));
  store_be64(at, std::uint64_t{next} << 56 | std::uint64_t{offset_and_flag} << 32 | fragment.id);
}

// RFC 7915 §4.1: options are left out, but a source route that has not ended is not for us to end.
Verdict judge_ipv4_options(const std::uint8_t* options, std::size_t size);

// What stands between an IPv6 header and its transport.
struct Chain {
  std::size_t length = 0;  // bytes
  std::uint8_t protocol = 0;
  Fragment fragment;
};

// RFC 7915 §5.1: hop-by-hop, destination options and finished routing headers are skipped, the Fragment Header is read.
// `first` is the Next Header of the IPv6 header, `at` what follows it.
Verdict read_chain(std::uint8_t first, const std::uint8_t* at, std::size_t size, Chain& chain);

}  // namespace clat::xlat
