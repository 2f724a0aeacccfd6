#include "core/xlat/transport.hpp"

namespace clat::xlat {

namespace {

constexpr std::uint8_t kEchoRequest4 = 8, kEchoReply4 = 0, kEchoRequest6 = 128, kEchoReply6 = 129;

// One's complement zero in either form changes nothing, and must leave the field as it is: 0xffff and 0x0000 are not
// the same to UDP.
bool is_neutral(std::uint16_t delta) { return delta == 0 || delta == 0xffff; }

// RFC 1624 §3. Wrong checksums stay wrong by the same difference.
void add_to_checksum(std::uint8_t* field, std::uint16_t delta, ChecksumState state) {
  if (is_neutral(delta)) return;
  const auto old = load<std::uint16_t>(field);
  if (state == ChecksumState::partial) {
    store(field, fold(Sum{old} + delta));  // a sum, not its complement
  } else {
    store(field, complement(fold(Sum{complement(old)} + delta)));
  }
}

Verdict judge_udp(Direction direction, const Transport& udp) {
  if (udp.size < 8) return Verdict::bad_transport;
  if (udp.fragment.part() == Part::first) {
    // Nothing to compute it from: RFC 7915 §4.5.
    const bool none = load<std::uint16_t>(udp.data + 6) == 0;
    return none && direction == Direction::to_ipv6 ? Verdict::udp_zero_checksum : Verdict::translated;
  }
  const std::size_t length = load_be16(udp.data + 4);
  // A super-packet's length field may be that of a segment, of the whole, or 0.
  if (udp.offload.segments > 1) return Verdict::translated;
  return length < 8 || length > udp.size ? Verdict::bad_transport : Verdict::translated;
}

Verdict judge_icmp(Direction direction, Transport& icmp) {
  const Part part = icmp.fragment.part();
  const bool in_the_middle = part == Part::later && icmp.fragment.more;
  if (part != Part::whole && !in_the_middle && icmp.message_size == 0) return Verdict::icmp_fragment;
  if (part == Part::later) return Verdict::translated;
  if (icmp.size < 8) return Verdict::bad_transport;
  icmp.is_error = is_icmp_error(direction, icmp);
  return icmp.is_error || is_echo(direction, icmp.data[0]) ? Verdict::translated : Verdict::icmp_type;
}

bool judge_offload(Direction direction, const Frame& frame, Transport& transport) {
  const VnetHeader& vnet = frame.vnet;
  // A checksum is finished before its packet is fragmented.
  const bool unfinished = (vnet.flags & VnetHeader::kNeedsChecksum) != 0 || vnet.gso_type != VnetHeader::kGsoNone;
  if (unfinished && transport.fragment.part() != Part::whole) return false;
  const auto header = static_cast<std::size_t>(transport.data - frame.data);
  const auto gso_tcp = direction == Direction::to_ipv6 ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoTcp6;
  if (!read_offload(frame, header, header + transport.size, transport.protocol, gso_tcp, transport.offload)) {
    return false;
  }
  if (transport.offload.checksum == ChecksumState::inner) {
    transport.inner_checksum_start = vnet.checksum_start - header;
    transport.inner_checksum_field = transport.inner_checksum_start + vnet.checksum_offset;
  }
  return true;
}

std::size_t smallest_header(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp: return 20;
    case kDccp: return 12;
    case kUdpLite: return 8;
    default: return 0;
  }
}

// RFC 7915 §4.5 wants the checksum that IPv6 does not do without (RFC 8200 §8.1).
void compute_udp(const Transport& udp, const AddressChange& addresses) {
  const std::size_t length = load_be16(udp.data + 4);
  Sum sum = addresses.after + big_endian(static_cast<std::uint16_t>(length)) + big_endian<std::uint16_t>(kUdp);
  if (udp.offload.checksum == ChecksumState::inner && udp.inner_checksum_field + 2 <= length) {
    // When its checksum is finished, the inner packet sums, from checksum_start on, to the complement of the field's
    // present value.
    sum += sum_bytes(udp.data, udp.inner_checksum_start) +
           complement(load<std::uint16_t>(udp.data + udp.inner_checksum_field));
  } else {
    sum += sum_bytes(udp.data, length);
  }
  const auto checksum = complement(fold(sum));
  store<std::uint16_t>(udp.data + 6, checksum == 0 ? 0xffff : checksum);
}

// Where 0 does not stand for a sum (RFC 768, RFC 3828).
void add_to_nonzero_checksum(std::uint8_t* field, std::uint16_t delta, ChecksumState state) {
  add_to_checksum(field, delta, state);
  if (state != ChecksumState::partial && load<std::uint16_t>(field) == 0) store<std::uint16_t>(field, 0xffff);
}

void rewrite_udp(Direction direction, const Transport& udp, const AddressChange& addresses) {
  std::uint8_t* field = udp.data + 6;
  if (udp.offload.checksum != ChecksumState::partial && load<std::uint16_t>(field) == 0) {
    // To IPv4, 0 says the same: the sender wants no checksum (RFC 6935).
    if (direction == Direction::to_ipv6) compute_udp(udp, addresses);
    return;
  }
  add_to_nonzero_checksum(field, addresses.delta(), udp.offload.checksum);
}

std::uint8_t translated_echo(Direction direction, std::uint8_t type) {
  if (direction == Direction::to_ipv6) return type == kEchoRequest4 ? kEchoRequest6 : kEchoReply6;
  return type == kEchoRequest6 ? kEchoRequest4 : kEchoReply4;
}

// ICMPv6 sums a pseudo-header (RFC 4443 §2.3), ICMPv4 none.
void rewrite_echo(Direction direction, const Transport& icmp, const AddressChange& addresses) {
  const bool to_ipv6 = direction == Direction::to_ipv6;
  const auto before = load<std::uint16_t>(icmp.data);
  icmp.data[0] = translated_echo(direction, icmp.data[0]);
  const std::size_t size = icmp.message_size == 0 ? icmp.size : icmp.message_size;
  const Sum pseudo = icmp6_pseudo_header(to_ipv6 ? addresses.after : addresses.before, size);
  Sum change = to_ipv6 ? pseudo : minus(pseudo);
  // An unfinished checksum is summed later, from the bytes as they will be then.
  if (icmp.offload.checksum != ChecksumState::partial) {
    change += load<std::uint16_t>(icmp.data) + minus(before);
  }
  add_to_checksum(icmp.data + 2, fold(change), icmp.offload.checksum);
}

}  // namespace

bool is_echo(Direction direction, std::uint8_t icmp_type) {
  if (direction == Direction::to_ipv6) return icmp_type == kEchoRequest4 || icmp_type == kEchoReply4;
  return icmp_type == kEchoRequest6 || icmp_type == kEchoReply6;
}

bool is_icmp_error(Direction direction, const Transport& transport) {
  const bool to_ipv6 = direction == Direction::to_ipv6;
  if (transport.protocol != (to_ipv6 ? kIcmp4 : kIcmp6) || transport.fragment.part() != Part::whole) return false;
  if (transport.size < 8) return false;
  const std::uint8_t type = transport.data[0];
  return to_ipv6 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

bool has_counterpart(Direction direction, std::uint8_t protocol) {
  // The other family's ICMP would change its meaning, and so would a number that IPv6 reads as an extension header.
  const std::uint8_t foreign = direction == Direction::to_ipv6 ? kIcmp6 : kIcmp4;
  return protocol != foreign && protocol != kIgmp && !is_skipped_extension(protocol) && protocol != kFragment;
}

Verdict judge_transport(Direction direction, const Frame& frame, Transport& transport) {
  const Part part = transport.fragment.part();
  if (const auto verdict = transport.fragment.judge(transport.size); verdict != Verdict::translated) return verdict;
  if (!frame.vnet.is_plain()) {
    if (!judge_offload(direction, frame, transport)) return Verdict::bad_offload;
  }
  const std::uint8_t protocol = transport.protocol;
  if (!has_counterpart(direction, protocol)) return Verdict::protocol;
  if (is_icmp(protocol)) return judge_icmp(direction, transport);
  if (part == Part::later) {
    // RFC 1858 §3: nothing but an attack lies over the header that the first fragment has to hold.
    const bool over_header = transport.fragment.offset * std::size_t{8} < smallest_header(protocol);
    return over_header ? Verdict::bad_fragment : Verdict::translated;
  }
  if (protocol == kUdp) return judge_udp(direction, transport);
  return transport.size < smallest_header(protocol) ? Verdict::bad_transport : Verdict::translated;
}

void rewrite_transport(Direction direction, const Transport& transport, const AddressChange& addresses) {
  if (transport.fragment.part() == Part::later) return;
  const auto state = transport.offload.checksum;
  switch (transport.protocol) {
    case kTcp: add_to_checksum(transport.data + 16, addresses.delta(), state); break;
    case kUdp: rewrite_udp(direction, transport, addresses); break;
    case kIcmp4:
    case kIcmp6: rewrite_echo(direction, transport, addresses); break;
    case kDccp: add_to_checksum(transport.data + 6, addresses.delta(), state); break;
    case kUdpLite: add_to_nonzero_checksum(transport.data + 6, addresses.delta(), state); break;
    default: break;  // RFC 7915 §4.1: carried as it is
  }
}

void rewrite_quoted_transport(Direction direction, const Transport& transport, std::size_t present,
                              const AddressChange& addresses) {
  const Part part = transport.fragment.part();
  if (part == Part::later) return;
  // Of an echo in fragments the checksum stays: it covers a length that is not known.
  const bool is_echo = is_icmp(transport.protocol);
  if (present < checksum_field(transport.protocol) + 2 || (is_echo && part == Part::first)) {
    if (is_echo) transport.data[0] = translated_echo(direction, transport.data[0]);
    return;
  }
  // A checksum of 0 stays: the quote does not hold all the bytes to compute one from.
  if (transport.protocol == kUdp && load<std::uint16_t>(transport.data + 6) == 0) return;
  rewrite_transport(direction, transport, addresses);
}

}  // namespace clat::xlat
