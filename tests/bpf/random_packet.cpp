#include "tests/bpf/random_packet.hpp"

#include <algorithm>
#include <array>

namespace clat::test {

namespace {

constexpr std::size_t kLargest = 3000;  // BPF_PROG_TEST_RUN takes no more in one page

std::uint16_t load16(const Bytes& bytes, std::size_t at) {
  return at + 2 <= bytes.size() ? static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]) : 0;
}
void store16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}

// Or an ICMP message that quotes one.
bool is_icmp_fragment(const Bytes& ip, std::size_t at = 0) {
  const auto byte = [&](std::size_t i) -> std::uint8_t { return i < ip.size() ? ip[i] : 0xff; };
  const bool is_ipv4 = byte(at) >> 4 == 4;
  std::uint8_t protocol = byte(at + (is_ipv4 ? 9 : 6));
  bool fragment = is_ipv4 && (load16(ip, at + 6) & 0x3fff) != 0;
  at += is_ipv4 ? (byte(at) & 0xfU) * 4 : 40;
  while (!is_ipv4 && (protocol == 0 || protocol == 43 || protocol == 44 || protocol == 60)) {
    if (protocol == 44) fragment = (load16(ip, at + 2) & 0xfff9) != 0;
    const std::size_t size = protocol == 44 ? 8 : (byte(at + 1) + 1U) * 8;
    protocol = byte(at);
    at += size;
  }
  if (protocol != 1 && protocol != 58) return false;
  return fragment || (at + 28 <= ip.size() && is_icmp_fragment(ip, at + 8));
}

struct Transport {
  std::uint8_t protocol;
  std::size_t at;
  bool fragment;
};
// Of a packet that can be translated.
Transport transport_of(const Bytes& in) {
  if (in[0] >> 4 == 4) return {in[9], (in[0] & 0xf) * 4U, (load16(in, 6) & 0x3fff) != 0};
  Transport found{in[6], 40, false};
  while (found.protocol == 0 || found.protocol == 43 || found.protocol == 44 || found.protocol == 60) {
    const bool fragment = found.protocol == 44;
    if (fragment) found.fragment = (load16(in, found.at + 2) & 0xfff9) != 0;
    found.protocol = in.at(found.at);
    found.at += fragment ? 8 : (in.at(found.at + 1) + 1U) * 8;
  }
  return found;
}

}  // namespace

RandomPackets::RandomPackets(Direction direction, unsigned seed) : random_(seed) {
  // What BPF_PROG_TEST_RUN takes; and offload facts only where they can be sent.
  const std::size_t smallest = direction == Direction::to_ipv4 ? 40 : 20;
  for (const auto& row : vectors()) {
    const bool plain = row.vnet == xlat::VnetHeader{};
    if (row.direction == direction && row.input.size() >= smallest && row.input.size() <= kLargest &&
        (plain || (direction == Direction::to_ipv6 && row.verdict != xlat::Verdict::bad_offload))) {
      rows_.push_back(&row);
    }
  }
  base_ = rows_.front();
}

const Vector& RandomPackets::next_base() {
  base_ = rows_[below(rows_.size())];
  return *base_;
}

xlat::VnetHeader RandomPackets::next_vnet() { return base_->vnet; }

Bytes RandomPackets::next() {
  const bool offloaded = base_->vnet != xlat::VnetHeader{};
  auto packet = !offloaded && one_in(6) ? from_scratch() : base_->input;
  // Offload facts must go on fitting the packet: what changes is behind the headers.
  if (offloaded) {
    for (auto changes = below(3); changes > 0; --changes) {
      if (packet.size() > 100) packet[100 + below(packet.size() - 100)] = static_cast<std::uint8_t>(random_());
    }
    return packet;
  }
  change(packet);
  if (!one_in(4)) mend(packet);
  return packet;
}

Bytes RandomPackets::from_scratch() {
  constexpr std::array<std::uint8_t, 14> kProtocols{1, 2, 6, 6, 17, 17, 33, 47, 50, 51, 58, 132, 136, 255};
  Bytes payload(below(one_in(8) ? 1600 : 200));
  std::ranges::generate(payload, [this] { return static_cast<std::uint8_t>(random_()); });
  const auto protocol = kProtocols[below(kProtocols.size())];
  if (protocol == 17 && payload.size() >= 8 && !one_in(3)) {
    store16(payload, 4, payload.size());
    if (one_in(3)) store16(payload, 6, 0);
  }
  const auto& clat = base_->clat;
  const auto peer = *Ipv4Address::parse("198.51." + std::to_string(below(256)) + "." + std::to_string(below(256)));
  if (base_->direction == Direction::to_ipv6) {
    Ip4 header{.source = clat.v4.text(), .destination = peer.text()};
    header.tos = static_cast<std::uint8_t>(random_());
    header.id = static_cast<std::uint16_t>(random_());
    header.ttl = static_cast<std::uint8_t>(1 + below(255));
    header.df = one_in(2);
    header.mf = one_in(8);
    header.offset = static_cast<std::uint16_t>(one_in(8) ? 8 * below(8192) : 0);
    if (one_in(4)) header.options.assign(4 * (1 + below(10)), one_in(2) ? 1 : static_cast<std::uint8_t>(random_()));
    return packet(header, raw(protocol, payload));
  }
  Ip6 header{.source = clat.prefix.embed(peer).text(), .destination = clat.v6.text()};
  header.traffic_class = static_cast<std::uint8_t>(random_());
  header.flow_label = random_() & 0xfffff;
  header.hop_limit = static_cast<std::uint8_t>(1 + below(255));
  if (one_in(4)) {
    header.chain_first = 44;
    header.chain = fragment_header(protocol, static_cast<std::uint16_t>(one_in(2) ? 8 * below(8192) : 0), one_in(2),
                                   static_cast<std::uint32_t>(random_()), static_cast<std::uint8_t>(random_()));
  }
  return packet(header, raw(protocol, payload));
}

void RandomPackets::change(Bytes& packet) {
  constexpr std::array<std::uint8_t, 8> kTelling{0, 1, 0x7f, 0x80, 0xff, 8, 44, 58};
  // IP header, transport header or ICMP error, what that quotes, anywhere.
  const std::array<std::size_t, 4> reaches{24, 70, 130, packet.size()};
  for (auto changes = below(4); changes > 0; --changes) {
    auto& byte = packet[below(std::min(packet.size(), reaches[below(reaches.size())]))];
    byte = one_in(2) ? static_cast<std::uint8_t>(random_()) : kTelling[below(kTelling.size())];
  }
  const std::size_t smallest = base_->direction == Direction::to_ipv4 ? 40 : 20;
  if (one_in(10)) packet.resize(smallest + below(packet.size() - smallest + 1));
  if (one_in(10)) packet.resize(packet.size() + below(30), 0x5a);
}

// Lengths and the IPv4 header checksum, so that more than those is tried.
void RandomPackets::mend(Bytes& packet) {
  if (base_->direction == Direction::to_ipv4) {
    if (packet[0] >> 4 == 6 && load16(packet, 4) > packet.size() - 40) store16(packet, 4, packet.size() - 40);
    return;
  }
  if (load16(packet, 2) > packet.size()) store16(packet, 2, packet.size());
  const std::size_t header = (packet[0] & 0xf) * 4U;
  if (header < 20 || header > packet.size()) return;
  store16(packet, 10, 0);
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < header; at += 2) sum += load16(packet, at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  store16(packet, 10, ~sum);
}

std::string reason_to_punt(const Packet& packet) {
  const auto& in = packet.bytes;
  const bool to_ipv6 = in[0] >> 4 == 4;
  const auto [protocol, at, fragment] = transport_of(in);
  const unsigned icmp = to_ipv6 ? 1 : 58;
  if (protocol == icmp) {
    if (fragment) return "fragments of ICMP";
    const std::size_t attribute = in.at(at + (to_ipv6 ? 5 : 4)) * (to_ipv6 ? 4U : 8U);
    if (attribute >= 128 && in.size() - at - 8 > attribute + 512) return "ICMP extensions above 512 bytes";  // RFC 4884
  }
  // The packet socket takes the inner packet's transport for the packet's own, which bpf_skb_change_tail does not cut
  // off.
  const bool tunnels = protocol == 4 || protocol == 41 || protocol == 47 || protocol == 137;
  if (to_ipv6 && tunnels && load16(in, 2) < in.size()) return "bytes behind a tunnel's packet";
  const bool unfinished = (packet.vnet.flags & xlat::VnetHeader::kNeedsChecksum) != 0;
  if (to_ipv6 && protocol == 17 && load16(in, at + 6) == 0 && unfinished) {
    return "UDP without a checksum, around a packet whose own is unfinished";
  }
  return {};
}

}  // namespace clat::test
