// ICMP errors of the translator's own (RFC 7915 §4.4, §5.4).
#include <algorithm>
#include <array>

#include "core/xlat/ip_header.hpp"
#include "core/xlat/segment.hpp"
#include "core/xlat/translator.hpp"
#include "core/xlat/transport.hpp"

namespace clat::xlat {

namespace {

struct IcmpType {
  std::uint8_t type = 0, code = 0;  // type 0: nothing is said
};
struct Answer {
  Verdict verdict;
  IcmpType ipv4, ipv6;
};
// Any other verdict is a silent drop: RFC 7915 asks for that, or the sender is not known.
constexpr std::array kAnswers{
    Answer{Verdict::hop_limit_exceeded, {11, 0}, {3, 0}},
    Answer{Verdict::too_big, {3, 4}, {2, 0}},
    Answer{Verdict::source_route, {3, 5}, {}},
    Answer{Verdict::routing_header, {}, {4, 0}},
    // Only for IPv4: an IPv6 sender would be the private address that RFC 6052 §3.1 forbids.
    Answer{Verdict::private_in_wkp, {3, 13}, {}},
    // Not in IPv6: "unless the discarded packet is itself an ICMPv6 message" (§5.4).
    Answer{Verdict::icmp_fragment, {3, 13}, {}},
};

constexpr std::uint8_t kHops = 64;
constexpr std::uint8_t kInternetworkControl = 0xc0;  // RFC 1812 §4.3.2.5
constexpr std::size_t kMostIpv4 = 576;               // RFC 1812 §4.3.2.3

// RFC 1122 §3.2.2, RFC 4443 §2.4 (e): no answer to a later fragment, nor to a packet that is, or may be, an ICMP error.
bool may_be_answered(Direction direction, const std::uint8_t* ip, const Layout& packet) {
  if (packet.fragment.part() == Part::later || packet.protocol == kIgmp) return false;
  if (!is_icmp(packet.protocol)) return true;
  return packet.size > packet.header && is_echo(direction, ip[packet.header]);
}

// Puts the ICMP header in front of the quoted packet, of which it keeps as much as `room` holds. `addresses`: their sum
// in ICMPv6's pseudo-header; 0 for ICMPv4, which has none.
Transport put_icmp(const Frame& about, IcmpType kind, std::uint32_t rest, std::size_t room, Sum addresses) {
  const std::size_t size = kIcmpHeader + std::min(about.size, room - kIcmpHeader);
  std::uint8_t* const icmp = about.data - kIcmpHeader;
  store_be32(icmp, std::uint32_t{kind.type} << 24 | std::uint32_t{kind.code} << 16);
  store_be32(icmp + 4, rest);
  const Sum pseudo = addresses == 0 ? 0 : icmp6_pseudo_header(addresses, size);
  store(icmp + 2, complement(fold(sum_bytes(icmp, size) + pseudo)));
  return {.data = icmp, .size = size};
}

Frame answer_ipv4(const Frame& about, IcmpType kind, std::uint32_t rest, std::uint16_t id) {
  const std::uint32_t source = load_be32(about.data + 12);
  const auto icmp = put_icmp(about, kind, rest, kMostIpv4 - kIpv4Header, 0);
  const HeaderFields fields{
      .traffic_class = kInternetworkControl, .protocol = kIcmp4, .hops = kHops, .fragment = {.id = id}};
  return {put_ipv4_header(icmp.data, icmp.size, fields, kDummyIpv4.number(), source), kIpv4Header + icmp.size};
}

Frame answer_ipv6(const Frame& about, IcmpType kind, std::uint32_t rest, const Halves& own) {
  const Halves source = load_halves(about.data + 8);
  const auto icmp = put_icmp(about, kind, rest, kIpv6MinimumMtu - kIpv6Header, sum(own) + sum(source));
  const HeaderFields fields{.protocol = kIcmp6, .hops = kHops};
  return {put_ipv6_header(icmp.data, icmp.size, fields, own, source), kIpv6Header + icmp.size};
}

// Bytes 4-7 of the error.
std::uint32_t rest_ipv4(Verdict verdict, const Layout& packet, const Mtus& mtus) {
  if (verdict != Verdict::too_big) return 0;
  return mtus.ipv6 - kHeaderDifference - (packet.fragment.present ? clat::kFragmentHeader : 0);
}
std::uint32_t rest_ipv6(Verdict verdict, const Layout& packet, const Mtus& mtus) {
  if (verdict == Verdict::too_big) return std::max(kIpv6MinimumMtu, mtus.ipv4 + kHeaderDifference);
  return static_cast<std::uint32_t>(packet.segments_left);
}

}  // namespace

void Translator::answer(Verdict verdict, const Frame& frame, Sink& sink) {
  const auto* found = std::ranges::find(kAnswers, verdict, &Answer::verdict);
  if (found == kAnswers.end()) return;
  const bool is_ipv4 = frame.data[0] >> 4 == 4;
  const IcmpType kind = is_ipv4 ? found->ipv4 : found->ipv6;
  Layout layout;
  (void)read_layout(frame.data, frame.size, layout);  // the verdict came after it
  const auto direction = is_ipv4 ? Direction::to_ipv6 : Direction::to_ipv4;
  if (kind.type == 0 || !may_be_answered(direction, frame.data, layout)) return;
  Segments segments({frame.data, layout.size, frame.vnet});
  if (!segments.fit() || !sink.may_answer()) return;
  // Of a super-packet, the first segment: the packet that would have been the first on the wire.
  Frame about;
  segments.next(about);
  sink.send(is_ipv4 ? answer_ipv4(about, kind, rest_ipv4(verdict, layout, mtus_), identification_++)
                    : answer_ipv6(about, kind, rest_ipv6(verdict, layout, mtus_), sides_.own.v6()));
}

}  // namespace clat::xlat
