#include "core/xlat/translator.hpp"

#include "core/xlat/ip_header.hpp"
#include "core/xlat/offload.hpp"
#include "core/xlat/transport.hpp"

namespace clat::xlat {

namespace {

// RFC 7915 §5.1: up to here a packet may be fragmented on the IPv4 side, 1280 being what IPv6 guarantees.
constexpr std::size_t kMayFragment = 1260;
constexpr std::uint16_t kDontFragment = 0x4000, kMoreFragments = 0x2000;

}  // namespace

Translator::Translator(const Settings& settings)
    : mapping_(settings.prefix),
      v4_(settings.v4.number()),
      v6_(load_halves(settings.v6.bytes.data())),
      v4_sum_(sum4(settings.v4.bytes.data())),
      v6_sum_(sum16(settings.v6.bytes.data())),
      identification_(settings.first_identification),
      mtus_(settings.mtus) {}

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

  if (header != kIpv4Header) {
    const auto verdict = judge_ipv4_options(ip + kIpv4Header, header - kIpv4Header);
    if (verdict != Verdict::translated) return verdict;
  }
  const std::uint8_t ttl = ip[8];
  if (ttl <= 1) return Verdict::hop_limit_exceeded;
  const Fragment fragment = read_ipv4_fragment(ip);
  Transport transport{.part = fragment.part(), .protocol = ip[9], .data = ip + header, .size = total - header};
  if (const auto verdict = fragment.judge(transport.size); verdict != Verdict::translated) return verdict;
  if (const auto verdict = judge_transport(Direction::to_ipv6, frame, transport); verdict != Verdict::translated) {
    return verdict;
  }

  // From here on the packet is changed. RFC 7915 §4.1, flow label 0. Fields are put together before they are stored: a
  // later wide load of narrow stores would have to wait for them.
  const std::uint64_t tos = ip[1];
  const Sum before = v4_sum_ + big_endian(peer);
  const std::uint8_t next = counterpart(transport.protocol);
  const std::size_t header6 = kIpv6Header + (fragment.present ? kFragmentHeader : 0);
  std::uint8_t* const out = ip + header - header6;
  store_be64(out, std::uint64_t{6} << 60 | tos << 52 | (header6 - kIpv6Header + transport.size) << 16 |
                      std::uint64_t{fragment.present ? kFragment : next} << 8 | (ttl - 1U));
  store_halves(out + 8, v6_);
  store_halves(out + 24, mapping_.embed(peer));
  if (fragment.present) store_fragment_header(out + kIpv6Header, next, fragment);
  rewrite_transport(Direction::to_ipv6, transport, {before, v6_sum_ + sum16(out + 24)});
  frame.data = out;
  frame.size = header6 + transport.size;
  move_offload(frame.vnet, header, header6, VnetHeader::kGsoTcp6);
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

  const std::size_t payload = load_be16(ip + 4);
  if (payload > frame.size - kIpv6Header || (payload == 0 && ip[6] == kHopByHop)) return Verdict::bad_length;
  Chain chain{.length = 0, .protocol = ip[6], .fragment = {}};
  if (is_skipped_extension(chain.protocol) || chain.protocol == kFragment) {
    const auto verdict = read_chain(ip[6], ip + kIpv6Header, payload, chain);
    if (verdict != Verdict::translated) return verdict;
  }
  const std::uint8_t hop_limit = ip[7];
  if (hop_limit <= 1) return Verdict::hop_limit_exceeded;
  const std::size_t header6 = kIpv6Header + chain.length;
  Transport transport{
      .part = chain.fragment.part(), .protocol = chain.protocol, .data = ip + header6, .size = payload - chain.length};
  const std::size_t total = kIpv4Header + transport.size;
  if (total > 0xffff) return Verdict::bad_length;
  if (const auto verdict = chain.fragment.judge(transport.size); verdict != Verdict::translated) return verdict;
  if (const auto verdict = judge_transport(Direction::to_ipv4, frame, transport); verdict != Verdict::translated) {
    return verdict;
  }

  // From here on the packet is changed. RFC 7915 §5.1.
  const std::uint64_t traffic_class = load_be16(ip) >> 4 & 0xff;
  const Sum before = v6_sum_ + sum16(ip + 8);
  std::uint16_t id = identification_, fragment_field = 0;
  if (chain.fragment.present) {
    // §5.1.1: a fragment stays one and may be cut again, whatever its size.
    id = static_cast<std::uint16_t>(chain.fragment.id);
    fragment_field = static_cast<std::uint16_t>(chain.fragment.offset | (chain.fragment.more ? kMoreFragments : 0));
  } else {
    const std::size_t wire_size = transport.offload.wire_size - header6 + kIpv4Header;
    fragment_field = wire_size <= kMayFragment ? 0 : kDontFragment;
    // The receiver of a super-packet numbers its segments upwards from this one.
    identification_ = static_cast<std::uint16_t>(identification_ + transport.offload.segments);
  }
  const std::uint64_t first =
      std::uint64_t{0x45} << 56 | traffic_class << 48 | total << 32 | std::uint64_t{id} << 16 | fragment_field;
  const std::uint32_t second = (hop_limit - 1U) << 24 | std::uint32_t{counterpart(chain.protocol)} << 16;
  const std::uint16_t checksum = complement(fold((first >> 32) + (first & 0xffffffff) + second + peer + v4_));
  std::uint8_t* const out = ip + header6 - kIpv4Header;
  store_be64(out, first);
  store_be32(out + 8, second | checksum);
  store_be32(out + 12, peer);
  store_be32(out + 16, v4_);
  rewrite_transport(Direction::to_ipv4, transport, {before, v4_sum_ + big_endian(peer)});
  frame.data = out;
  frame.size = total;
  move_offload(frame.vnet, header6, kIpv4Header, VnetHeader::kGsoTcp4);
  return Verdict::translated;
}

}  // namespace clat::xlat
