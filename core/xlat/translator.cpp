#include "core/xlat/translator.hpp"

#include "core/xlat/fragment.hpp"
#include "core/xlat/icmp.hpp"
#include "core/xlat/ip_header.hpp"
#include "core/xlat/offload.hpp"
#include "core/xlat/segment.hpp"
#include "core/xlat/transport.hpp"

namespace clat::xlat {

namespace {

// Sends a translated packet, without DF when it came, in packets of at most `mtu` bytes (RFC 7915 §4.1).
void send_cut(Frame frame, std::uint16_t id, std::size_t mtu, Sink& sink) {
  if (frame.vnet.is_tcp_super_packet()) {
    // Smaller segments say the same as fragments, and better.
    const std::size_t headers = kIpv6Header + static_cast<std::size_t>(frame.data[kIpv6Header + 12] >> 4) * 4;
    frame.vnet.gso_size = static_cast<std::uint16_t>(mtu - headers);
    sink.send(frame);
    return;
  }
  Segments segments(frame);
  for (Frame segment; segments.next(segment); ++id) {
    // The last one may be short.
    if (segment.size <= mtu) {
      sink.send(segment);
    } else {
      send_fragments(segment, id, mtu, sink);
    }
  }
}

// Whether the packet may go on as one from 192.0.0.8: it is an ICMP error of a router that has no IPv4 address
// (draft-ietf-v6ops-icmpext-xlat-v6only-source).
bool is_foreign_error(const Halves& source, const OwnSide& own, const Transport& transport) {
  const bool is_no_router = source.high == 0 || source.high >> 56 == 0xff;
  return is_icmp_error(Direction::to_ipv4, transport) && !is_no_router && !own.find(source);
}

// Translating the quote of an ICMP error changes the packet's size, so every check of a size comes after this.
Verdict rewrite_if_error(Direction direction, const Sides& sides, const Mtus& mtus, const AddressChange& addresses,
                         Frame& packet, Transport& transport) {
  if (!transport.is_error) return Verdict::translated;
  finish_checksum(packet);
  return rewrite_error(direction, sides, mtus, addresses, transport);
}

}  // namespace

Translator::Translator(const Settings& settings)
    : sides_{OwnSide(settings.v4, settings.v6, settings.ranges),
             PeerSide(settings.prefix, settings.allow_private_ipv4)},
      identification_(settings.first_identification),
      mtus_(settings.mtus.sane()) {}

Verdict Translator::translate(Frame frame, Sink& sink) {
  if (frame.size == 0) return Verdict::truncated;
  auto verdict = translate(frame, 0, sink);
  if (verdict == Verdict::translated) return verdict;
  if (verdict == Verdict::icmp_fragment) verdict = translate_icmp_fragment(frame, sink);
  if (verdict != Verdict::translated) answer(verdict, frame, sink);
  return verdict;
}

Verdict Translator::translate(Frame& packet, std::size_t message_size, Sink& sink) {
  switch (packet.data[0] >> 4) {
    case 4: return to_ipv6(packet, message_size, sink);
    case 6: return to_ipv4(packet, message_size, sink);
    default: return Verdict::bad_version;
  }
}

// Takes the first or the last fragment of an echo. The caller has checked everything but the size.
Verdict Translator::translate_icmp_fragment(Frame& packet, Sink& sink) {
  Layout layout;
  (void)read_layout(packet.data, packet.size, layout);
  const auto datagram = EchoFragments::datagram_of(packet.data, layout);
  const std::size_t size = layout.size - layout.header;
  if (layout.fragment.part() == Part::later) {
    const std::size_t message_size = layout.fragment.offset * std::size_t{8} + size;
    if (auto first = echoes_.take_first(datagram)) {
      const auto verdict = translate(*first, message_size, sink);
      if (verdict != Verdict::translated) answer(verdict, *first, sink);
    } else {
      echoes_.remember(datagram, message_size);
    }
    return translate(packet, message_size, sink);
  }
  const auto direction = datagram.is_ipv4 ? Direction::to_ipv6 : Direction::to_ipv4;
  if (size < kIcmpHeader || !is_echo(direction, packet.data[layout.header])) return Verdict::icmp_fragment;
  if (const auto message_size = echoes_.take_message_size(datagram)) return translate(packet, *message_size, sink);
  return echoes_.hold(datagram, packet) ? Verdict::held : Verdict::icmp_fragment;
}

// RFC 7915 §4.
Verdict Translator::to_ipv6(Frame& packet, std::size_t message_size, Sink& sink) {
  const std::uint8_t* const ip = packet.data;
  Layout layout;
  if (const auto verdict = read_ipv4(ip, packet.size, layout); verdict != Verdict::translated) return verdict;
  packet.size = layout.size;
  const Sum sum_of_header = layout.header == kIpv4Header ? sum20(ip) : sum_bytes(ip, layout.header);
  if (fold(sum_of_header) != 0xffff) return Verdict::bad_header_checksum;

  const std::uint32_t own = load_be32(ip + 12), peer = load_be32(ip + 16);
  const auto own6 = sides_.own.find(own);
  if (!own6) return Verdict::not_from_clat;
  if (sides_.own.find(peer)) return Verdict::hairpin;
  if (const auto verdict = sides_.peers.judge(peer); verdict != Verdict::translated) return verdict;
  if (layout.header != kIpv4Header) {
    if (const auto verdict = judge_ipv4_options(ip, layout.header); verdict != Verdict::translated) return verdict;
  }
  // Flow label 0.
  const HeaderFields fields{.traffic_class = ip[1],
                            .protocol = counterpart(layout.protocol),
                            .hops = static_cast<std::uint8_t>(ip[8] - 1),
                            .fragment = layout.fragment,
                            .dont_fragment = has_dont_fragment(ip)};
  if (ip[8] <= 1) return Verdict::hop_limit_exceeded;
  Transport transport = transport_of(packet.data, layout, message_size);
  if (const auto verdict = judge_transport(Direction::to_ipv6, packet, transport); verdict != Verdict::translated) {
    return verdict;
  }
  const Halves peer6 = sides_.peers.embed(peer);
  const AddressChange addresses{sum(own) + sum(peer), sum(*own6) + sum(peer6)};
  if (const auto verdict = rewrite_if_error(Direction::to_ipv6, sides_, mtus_, addresses, packet, transport);
      verdict != Verdict::translated) {
    return verdict;
  }
  const std::size_t header6 = kIpv6Header + (layout.fragment.present ? kFragmentHeader : 0);
  const std::size_t wire_size = header6 + transport.offload.wire_size;
  const bool large = wire_size > mtus_.lowest_ipv6;
  if (large && fields.dont_fragment && wire_size > mtus_.ipv6) return Verdict::too_big;

  // From here on the packet is changed.
  if (!transport.is_error) rewrite_transport(Direction::to_ipv6, transport, addresses);
  packet.data = put_ipv6_header(transport.data, transport.size, fields, *own6, peer6);
  packet.size = header6 + transport.size;
  if (!packet.vnet.is_plain()) move_offload(packet.vnet, layout.header, header6, VnetHeader::kGsoTcp6);
  if (large && !fields.dont_fragment) {
    send_cut(packet, static_cast<std::uint16_t>(layout.fragment.id), mtus_.lowest_ipv6, sink);
  } else {
    sink.send(packet);
  }
  return Verdict::translated;
}

// RFC 7915 §5.
Verdict Translator::to_ipv4(Frame& packet, std::size_t message_size, Sink& sink) {
  const std::uint8_t* const ip = packet.data;
  if (packet.size < kIpv6Header) return Verdict::truncated;
  const Halves own6 = load_halves(ip + 24), peer6 = load_halves(ip + 8);
  const auto own = sides_.own.find(own6);
  if (!own) return Verdict::not_to_clat;
  Layout layout;
  const auto readable = read_ipv6(ip, packet.size, layout);
  Transport transport = transport_of(packet.data, layout, message_size);
  std::uint32_t peer = kDummyIpv4.number();
  if (sides_.peers.contains(peer6)) {
    peer = sides_.peers.extract(peer6);
    if (sides_.own.find(peer)) return Verdict::hairpin;
    if (const auto verdict = sides_.peers.judge(peer); verdict != Verdict::translated) return verdict;
  } else if (readable != Verdict::translated || !is_foreign_error(peer6, sides_.own, transport)) {
    return Verdict::outside_prefix;
  }
  if (readable != Verdict::translated) return readable;
  packet.size = layout.size;
  HeaderFields fields{.traffic_class = static_cast<std::uint8_t>(load_be16(ip) >> 4),
                      .protocol = counterpart(layout.protocol),
                      .hops = static_cast<std::uint8_t>(ip[7] - 1),
                      .fragment = layout.fragment};
  if (ip[7] <= 1) return Verdict::hop_limit_exceeded;
  if (transport.size > 0xffff - kIpv4Header) return Verdict::bad_length;
  if (const auto verdict = judge_transport(Direction::to_ipv4, packet, transport); verdict != Verdict::translated) {
    return verdict;
  }
  const AddressChange addresses{sum(own6) + sum(peer6), sum(*own) + sum(peer)};
  if (const auto verdict = rewrite_if_error(Direction::to_ipv4, sides_, mtus_, addresses, packet, transport);
      verdict != Verdict::translated) {
    return verdict;
  }
  // §5.1.1: a fragment stays one and may be cut again, whatever its size.
  if (!layout.fragment.present) {
    const std::size_t wire_size = kIpv4Header + transport.offload.wire_size;
    fields.dont_fragment = wire_size > kMayFragment;
    if (fields.dont_fragment && wire_size > mtus_.ipv4) return Verdict::too_big;
    fields.fragment.id = identification_;
    // The receiver of a super-packet numbers its segments upwards from this one.
    identification_ = static_cast<std::uint16_t>(identification_ + transport.offload.segments);
  }

  // From here on the packet is changed.
  if (!transport.is_error) rewrite_transport(Direction::to_ipv4, transport, addresses);
  packet.data = put_ipv4_header(transport.data, transport.size, fields, peer, *own);
  packet.size = kIpv4Header + transport.size;
  if (!packet.vnet.is_plain()) move_offload(packet.vnet, layout.header, kIpv4Header, VnetHeader::kGsoTcp4);
  sink.send(packet);
  return Verdict::translated;
}

}  // namespace clat::xlat
