#include "core/xlat/translator.hpp"

#include "core/xlat/offload.hpp"
#include "core/xlat/transport.hpp"

namespace clat::xlat {

namespace {

constexpr std::size_t kIpv4Header = 20, kIpv6Header = 40;
// RFC 7915 §5.1: up to here a packet may be fragmented on the IPv4 side, 1280 being what IPv6 guarantees.
constexpr std::size_t kMayFragment = 1260;
constexpr std::uint16_t kDontFragment = 0x4000, kMoreFragmentsAndOffset = 0x3fff;
constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kDestinationOptions = 60;

}  // namespace

Translator::Translator(const Settings& settings)
    : mapping_(settings.prefix),
      v4_(settings.v4.number()),
      v6_(load_halves(settings.v6.bytes.data())),
      v4_sum_(sum4(settings.v4.bytes.data())),
      v6_sum_(sum16(settings.v6.bytes.data())),
      identification_(settings.first_identification) {}

Verdict Translator::translate(Frame frame, Sink& sink) {
  if (frame.size == 0) return Verdict::truncated;
  Verdict verdict = Verdict::bad_version;
  switch (frame.data[0] >> 4) {
    case 4: verdict = to_ipv6(frame); break;
    case 6: verdict = to_ipv4(frame); break;
    default: break;
  }
  if (verdict == Verdict::translated) sink.send(frame);
  return verdict;
}

// RFC 7915 §4.
Verdict Translator::to_ipv6(Frame& frame) {
  std::uint8_t* const ip = frame.data;
  if (frame.size < kIpv4Header) return Verdict::truncated;
  const std::size_t header = static_cast<std::size_t>(ip[0] & 0xf) * 4;
  if (header < kIpv4Header || header > frame.size) return Verdict::bad_header_length;
  const std::size_t total = load_be16(ip + 2);
  if (total < header || total > frame.size) return Verdict::bad_length;
  const Sum sum = header == kIpv4Header ? sum20(ip) : sum_bytes(ip, header);
  if (fold(sum) != 0xffff) return Verdict::bad_header_checksum;

  if (load_be32(ip + 12) != v4_) return Verdict::not_from_clat;
  const std::uint32_t peer = load_be32(ip + 16);
  if (peer == v4_) return Verdict::hairpin;
  if (const auto verdict = mapping_.judge_peer(peer); verdict != Verdict::translated) return verdict;

  if ((load_be16(ip + 6) & kMoreFragmentsAndOffset) != 0) return Verdict::fragment;
  if (header != kIpv4Header) return Verdict::ipv4_options;
  const std::uint8_t ttl = ip[8];
  if (ttl <= 1) return Verdict::hop_limit_exceeded;

  Transport transport{.protocol = ip[9], .data = ip + header, .size = total - header};
  if (const auto verdict = judge_transport(Direction::to_ipv6, frame, transport); verdict != Verdict::translated) {
    return verdict;
  }

  // From here on the packet is changed. RFC 7915 §4.1, flow label 0. Fields are put together before they are stored: a
  // later wide load of narrow stores would have to wait for them.
  const std::uint64_t tos = ip[1];
  const Sum before = v4_sum_ + big_endian(peer);
  std::uint8_t* const out = ip + header - kIpv6Header;
  store_be64(out, std::uint64_t{6} << 60 | tos << 52 | transport.size << 16 |
                      std::uint64_t{counterpart(transport.protocol)} << 8 | (ttl - 1U));
  store_halves(out + 8, v6_);
  store_halves(out + 24, mapping_.embed(peer));
  rewrite_transport(Direction::to_ipv6, transport, {before, v6_sum_ + sum16(out + 24)});
  frame.data = out;
  frame.size = kIpv6Header + transport.size;
  move_offload(frame.vnet, header, kIpv6Header, VnetHeader::kGsoTcp6);
  return Verdict::translated;
}

// RFC 7915 §5.
Verdict Translator::to_ipv4(Frame& frame) {
  std::uint8_t* const ip = frame.data;
  if (frame.size < kIpv6Header) return Verdict::truncated;
  if (load_halves(ip + 24) != v6_) return Verdict::not_to_clat;
  const Halves peer6 = load_halves(ip + 8);
  if (!mapping_.contains(peer6)) return Verdict::outside_prefix;
  const std::uint32_t peer = mapping_.extract(peer6);
  if (peer == v4_) return Verdict::hairpin;
  if (const auto verdict = mapping_.judge_peer(peer); verdict != Verdict::translated) return verdict;

  const std::size_t size = load_be16(ip + 4);
  const std::uint8_t next = ip[6];
  if (size > frame.size - kIpv6Header || (size == 0 && next == kHopByHop)) return Verdict::bad_length;
  if (next == kFragment) return Verdict::fragment;
  if (next == kHopByHop || next == kRouting || next == kDestinationOptions) return Verdict::extension_header;
  const std::uint8_t hop_limit = ip[7];
  if (hop_limit <= 1) return Verdict::hop_limit_exceeded;
  if (kIpv4Header + size > 0xffff) return Verdict::bad_length;

  Transport transport{.protocol = next, .data = ip + kIpv6Header, .size = size};
  if (const auto verdict = judge_transport(Direction::to_ipv4, frame, transport); verdict != Verdict::translated) {
    return verdict;
  }

  // From here on the packet is changed. RFC 7915 §5.1.
  const std::uint64_t traffic_class = load_be16(ip) >> 4 & 0xff;
  const Sum before = v6_sum_ + sum16(ip + 8);
  const std::size_t wire_size = transport.offload.wire_size - kIpv6Header + kIpv4Header;
  const std::uint64_t flags = wire_size <= kMayFragment ? 0 : kDontFragment;
  const std::uint64_t first = std::uint64_t{0x45} << 56 | traffic_class << 48 | (kIpv4Header + size) << 32 |
                              std::uint64_t{identification_} << 16 | flags;
  // The receiver of a super-packet numbers its segments upwards from this one.
  identification_ = static_cast<std::uint16_t>(identification_ + transport.offload.segments);
  const std::uint32_t second = (hop_limit - 1U) << 24 | std::uint32_t{counterpart(next)} << 16;
  const std::uint16_t checksum = complement(fold((first >> 32) + (first & 0xffffffff) + second + peer + v4_));
  std::uint8_t* const out = ip + kIpv6Header - kIpv4Header;
  store_be64(out, first);
  store_be32(out + 8, second | checksum);
  store_be32(out + 12, peer);
  store_be32(out + 16, v4_);
  rewrite_transport(Direction::to_ipv4, transport, {before, v4_sum_ + big_endian(peer)});
  frame.data = out;
  frame.size = kIpv4Header + size;
  move_offload(frame.vnet, kIpv6Header, kIpv4Header, VnetHeader::kGsoTcp4);
  return Verdict::translated;
}

}  // namespace clat::xlat
