#include "core/xlat/ip_header.hpp"

namespace clat::xlat {

Verdict judge_ipv4_options(const std::uint8_t* options, std::size_t size) {
  constexpr std::uint8_t kEnd = 0, kNoOperation = 1, kLooseSourceRoute = 131, kStrictSourceRoute = 137;
  for (std::size_t i = 0; i < size;) {
    const std::uint8_t kind = options[i];
    if (kind == kEnd) break;
    if (kind == kNoOperation) {
      ++i;
      continue;
    }
    if (i + 2 > size) return Verdict::bad_options;
    const std::size_t length = options[i + 1];
    if (length < 2 || length > size - i) return Verdict::bad_options;
    if (kind == kLooseSourceRoute || kind == kStrictSourceRoute) {
      if (length < 3) return Verdict::bad_options;
      // RFC 791 §3.1: ended when the pointer is past the option.
      if (options[i + 2] <= length) return Verdict::source_route;
    }
    i += length;
  }
  return Verdict::translated;
}

Verdict read_chain(std::uint8_t first, const std::uint8_t* at, std::size_t size, Chain& chain) {
  constexpr int kMostHeaders = 16;
  chain.protocol = first;
  for (int n = 0; n < kMostHeaders; ++n) {
    const std::uint8_t* header = at + chain.length;
    const std::size_t left = size - chain.length;
    if (chain.protocol == kFragment) {
      if (left < kFragmentHeader) return Verdict::bad_extension;
      const std::uint16_t field = load_be16(header + 2);
      chain.fragment = {true, (field & 1) != 0, static_cast<std::uint16_t>(field >> 3), load_be32(header + 4)};
      chain.protocol = header[0];
      chain.length += kFragmentHeader;
      // RFC 7915 §5.1.1: what would be cut up with the payload cannot be skipped; ESP is opaque anyway.
      const bool hidden =
          is_skipped_extension(chain.protocol) || chain.protocol == kFragment || chain.protocol == kAuthentication;
      return hidden ? Verdict::bad_extension : Verdict::translated;
    }
    if (!is_skipped_extension(chain.protocol)) return Verdict::translated;
    if (left < 8) return Verdict::bad_extension;
    const std::size_t length = (header[1] + std::size_t{1}) * 8;
    if (length > left) return Verdict::bad_extension;
    if (chain.protocol == kRouting && header[3] != 0) return Verdict::routing_header;
    chain.protocol = header[0];
    chain.length += length;
  }
  return Verdict::bad_extension;
}

}  // namespace clat::xlat
