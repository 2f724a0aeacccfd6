// IP headers of both families: reading them with all that translation leaves out or rewrites, and writing them.
#pragma once

#include "core/xlat/bytes.hpp"
#include "core/xlat/mapping.hpp"
#include "core/xlat/protocol.hpp"
#include "core/xlat/verdict.hpp"

namespace clat::xlat {

// Of a datagram: all of it, or the fragment that holds its transport header, or another.
enum class Part : std::uint8_t { whole, first, later };

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

// Where a packet's parts are. `size` does not count trailing bytes.
struct Layout {
  std::size_t header = 0;  // bytes in front of the transport, options and extension headers included
  std::size_t size = 0;
  std::uint8_t protocol = 0;
  Fragment fragment = {};
  std::size_t segments_left = 0;  // offset of a routing header's field that is not 0; 0: there is none
};

// Neither judges options, checksums or addresses.
inline Verdict read_ipv4(const std::uint8_t* ip, std::size_t size, Layout& layout) {
  if (size < kIpv4Header) return Verdict::truncated;
  layout.header = static_cast<std::size_t>(ip[0] & 0xf) * 4;
  if (layout.header < kIpv4Header || layout.header > size) return Verdict::bad_header_length;
  layout.size = load_be16(ip + 2);
  if (layout.size < layout.header || layout.size > size) return Verdict::bad_length;
  layout.protocol = ip[9];
  const std::uint16_t field = load_be16(ip + 6);
  const auto offset = static_cast<std::uint16_t>(field & 0x1fff);
  const bool more = (field & 0x2000) != 0;
  layout.fragment = {offset != 0 || more, more, offset, load_be16(ip + 4)};
  return Verdict::translated;
}
inline bool has_dont_fragment(const std::uint8_t* ipv4) { return (ipv4[6] & 0x40) != 0; }

// RFC 7915 §4.1: options are left out, but a source route that has not ended is not for us to end.
Verdict judge_ipv4_options(const std::uint8_t* ip, std::size_t header);

// RFC 7915 §5.1: hop-by-hop, destination options and finished routing headers are skipped, the Fragment Header is read.
// layout.header is where the chain begins and then where it ends, layout.protocol the first Next Header and then the
// transport's. Nothing behind layout.size is looked at.
Verdict read_chain(const std::uint8_t* ip, Layout& layout);

inline Verdict read_ipv6(const std::uint8_t* ip, std::size_t size, Layout& layout) {
  if (size < kIpv6Header) return Verdict::truncated;
  layout.header = kIpv6Header;
  layout.size = kIpv6Header + load_be16(ip + 4);
  layout.protocol = ip[6];
  if (layout.size > size || (layout.size == kIpv6Header && layout.protocol == kHopByHop)) return Verdict::bad_length;
  const bool chained = is_skipped_extension(layout.protocol) || layout.protocol == kFragment;
  return chained ? read_chain(ip, layout) : Verdict::translated;
}

// By the packet's version.
Verdict read_layout(const std::uint8_t* ip, std::size_t size, Layout& layout);

// The sum of the pseudo-header for `size` bytes of transport (RFC 768, RFC 8200 §8.1).
inline Sum pseudo_header_sum(const std::uint8_t* ip, std::size_t size, std::uint8_t protocol) {
  const Sum addresses = ip[0] >> 4 == 4 ? sum4(ip + 12) + sum4(ip + 16) : sum16(ip + 8) + sum16(ip + 24);
  return addresses + big_endian(static_cast<std::uint32_t>(size)) + big_endian<std::uint16_t>(protocol);
}

// The fields that headers of both families have, apart from addresses and lengths.
struct HeaderFields {
  std::uint8_t traffic_class = 0;
  std::uint8_t protocol = 0;  // of the family written
  std::uint8_t hops = 0;
  Fragment fragment = {};      // to IPv4, its id counts even when none is present
  bool dont_fragment = false;  // of the IPv4 header
};

// Each writes the header that goes in front of `size` bytes of transport, and returns where it begins. Fields are put
// together before they are stored: a later wide load of narrow stores would have to wait for them.
inline std::uint8_t* put_ipv6_header(std::uint8_t* transport, std::size_t size, const HeaderFields& fields,
                                     const Halves& source, const Halves& destination) {
  const Fragment& fragment = fields.fragment;
  const std::size_t extension = fragment.present ? kFragmentHeader : 0;
  if (fragment.present) {
    const auto offset_and_flag = static_cast<std::uint16_t>(fragment.offset << 3 | (fragment.more ? 1 : 0));
    store_be64(transport - kFragmentHeader,
               std::uint64_t{fields.protocol} << 56 | std::uint64_t{offset_and_flag} << 32 | fragment.id);
  }
  std::uint8_t* const ip = transport - extension - kIpv6Header;
  store_be64(ip, std::uint64_t{6} << 60 | std::uint64_t{fields.traffic_class} << 52 | (extension + size) << 16 |
                     std::uint64_t{fragment.present ? kFragment : fields.protocol} << 8 | fields.hops);
  store_halves(ip + 8, source);
  store_halves(ip + 24, destination);
  return ip;
}

inline std::uint8_t* put_ipv4_header(std::uint8_t* transport, std::size_t size, const HeaderFields& fields,
                                     std::uint32_t source, std::uint32_t destination) {
  const unsigned fragment_field =
      fields.fragment.offset | (fields.fragment.more ? 0x2000U : 0) | (fields.dont_fragment ? 0x4000U : 0);
  const std::uint64_t first = std::uint64_t{0x45} << 56 | std::uint64_t{fields.traffic_class} << 48 |
                              std::uint64_t{kIpv4Header + size} << 32 | (fields.fragment.id & 0xffff) << 16 |
                              fragment_field;
  const std::uint32_t second = std::uint32_t{fields.hops} << 24 | std::uint32_t{fields.protocol} << 16;
  const Sum all = (first >> 32) + (first & 0xffffffff) + second + source + destination;
  std::uint8_t* const ip = transport - kIpv4Header;
  store_be64(ip, first);
  store_be32(ip + 8, second | complement(fold(all)));
  store_be32(ip + 12, source);
  store_be32(ip + 16, destination);
  return ip;
}

}  // namespace clat::xlat
