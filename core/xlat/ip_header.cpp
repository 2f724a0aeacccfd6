#include "core/xlat/ip_header.hpp"

namespace clat::xlat {

Verdict judge_ipv4_options(const std::uint8_t* ip, std::size_t header) {
  constexpr std::uint8_t kEnd = 0, kNoOperation = 1, kLooseSourceRoute = 131, kStrictSourceRoute = 137;
  for (std::size_t i = kIpv4Header; i < header;) {
    const std::uint8_t* option = ip + i;
    if (option[0] == kEnd) break;
    if (option[0] == kNoOperation) {
      ++i;
      continue;
    }
    if (i + 2 > header) return Verdict::bad_options;
    const std::size_t length = option[1];
    if (length < 2 || length > header - i) return Verdict::bad_options;
    if (option[0] == kLooseSourceRoute || option[0] == kStrictSourceRoute) {
      if (length < 3) return Verdict::bad_options;
      // RFC 791 §3.1: ended when the pointer is past the option.
      if (option[2] <= length) return Verdict::source_route;
    }
    i += length;
  }
  return Verdict::translated;
}

Verdict read_chain(const std::uint8_t* ip, Layout& layout) {
  constexpr int kMostHeaders = 16;
  for (int n = 0; n < kMostHeaders; ++n) {
    const std::uint8_t* header = ip + layout.header;
    const std::size_t left = layout.size - layout.header;
    if (layout.protocol == kFragment) {
      if (left < kFragmentHeader) return Verdict::bad_extension;
      const std::uint16_t field = load_be16(header + 2);
      layout.fragment = {true, (field & 1) != 0, static_cast<std::uint16_t>(field >> 3), load_be32(header + 4)};
      layout.protocol = header[0];
      layout.header += kFragmentHeader;
      // RFC 7915 §5.1.1: behind a Fragment Header an extension header is part of the fragmented payload, so it cannot
      // be skipped. ESP is opaque anyway.
      const bool hidden =
          is_skipped_extension(layout.protocol) || layout.protocol == kFragment || layout.protocol == kAuthentication;
      if (hidden) return Verdict::hidden_extension;
    }
    if (!is_skipped_extension(layout.protocol)) {
      return layout.segments_left == 0 ? Verdict::translated : Verdict::routing_header;
    }
    if (left < 8) return Verdict::bad_extension;
    const std::size_t length = (header[1] + std::size_t{1}) * 8;
    if (length > left) return Verdict::bad_extension;
    // Reading goes on: the transport's protocol says whether the packet is an ICMP error.
    if (layout.protocol == kRouting && header[3] != 0) layout.segments_left = layout.header + 3;
    layout.protocol = header[0];
    layout.header += length;
  }
  return Verdict::bad_extension;
}

Verdict read_layout(const std::uint8_t* ip, std::size_t size, Layout& layout) {
  if (size == 0) return Verdict::truncated;
  switch (ip[0] >> 4) {
    case 4: return read_ipv4(ip, size, layout);
    case 6: return read_ipv6(ip, size, layout);
    default: return Verdict::bad_version;
  }
}

}  // namespace clat::xlat
