#include "tests/support/packet.hpp"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <stdexcept>

namespace clat::test {

namespace {

constexpr std::uint8_t kIcmp4 = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;

void put16(Bytes& bytes, std::size_t at, unsigned value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}
void push32(Bytes& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

// One's complement addition is addition modulo 65535, where the sum of anything but zeros is never 0. Worked byte by
// byte: a byte at an even place weighs 256.
unsigned sum_mod(std::span<const std::uint8_t> bytes) {
  unsigned remainder = 0;
  bool zero = true;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    remainder = (remainder + bytes[i] * (i % 2 == 0 ? 256U : 1U)) % 65535;
    zero = zero && bytes[i] == 0;
  }
  return remainder == 0 && !zero ? 65535 : remainder;
}

Bytes pseudo_header(const Bytes& source, const Bytes& destination, std::uint8_t protocol, std::size_t length) {
  Bytes bytes = source + destination;
  push32(bytes, static_cast<std::uint32_t>(length));
  push32(bytes, protocol);
  return bytes;
}

// The UDP header has a length of its own, and the pseudo-header takes that one (RFC 8200 §8.1, RFC 768).
std::size_t covered(const Segment& segment) {
  if (segment.protocol != kUdp || segment.bytes.size() < 8) return segment.bytes.size();
  const std::size_t length = segment.bytes[4] * 256U + segment.bytes[5];
  return length >= 8 && length <= segment.bytes.size() ? length : segment.bytes.size();
}

void finish(Segment& segment, const Bytes& source, const Bytes& destination) {
  if (!segment.checksum_at || segment.bytes.size() < *segment.checksum_at + 2) return;
  put16(segment.bytes, *segment.checksum_at, 0);
  if (segment.sum == Sum::none) return;
  const bool bare = segment.protocol == kIcmp4;  // ICMPv4 has no pseudo-header
  const auto length = covered(segment);
  const auto pseudo = bare ? Bytes{} : pseudo_header(source, destination, segment.protocol, length);
  if (segment.sum == Sum::partial) {
    put16(segment.bytes, *segment.checksum_at, sum_mod(pseudo));
    return;
  }
  unsigned checksum = 65535 - sum_mod(pseudo + head(segment.bytes, length));
  if (checksum == 0 && segment.protocol == kUdp) checksum = 65535;
  // Off by one stays off by one under any change of addresses, and is never mistaken for "no checksum".
  if (segment.sum == Sum::wrong) checksum = checksum % 65535 + 1;
  put16(segment.bytes, *segment.checksum_at, checksum);
}

}  // namespace

Bytes counting(std::size_t n, std::uint8_t first) {
  Bytes bytes(n);
  for (auto& byte : bytes) byte = first++;
  return bytes;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes head(const Bytes& bytes, std::size_t n) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(n, bytes.size()))};
}

Segment udp(const Bytes& payload, Sum sum, Ports ports, std::optional<std::uint16_t> length) {
  Bytes bytes(8);
  put16(bytes, 0, ports.source);
  put16(bytes, 2, ports.destination);
  put16(bytes, 4, length.value_or(static_cast<std::uint16_t>(8 + payload.size())));
  return {kUdp, bytes + payload, 6, sum};
}

Segment tcp(const Bytes& payload, Sum sum, Ports ports, std::uint8_t flags) {
  Bytes bytes(20);
  put16(bytes, 0, ports.source);
  put16(bytes, 2, ports.destination);
  bytes[7] = 1;      // sequence number 1
  bytes[11] = 2;     // acknowledgment 2
  bytes[12] = 0x50;  // five words
  bytes[13] = flags;
  put16(bytes, 14, 0xfaf0);
  return {kTcp, bytes + payload, 16, sum};
}

Segment udp_lite(const Bytes& payload, Sum sum) {
  return {136, Bytes{0x9c, 0x40, 0, 53, 0, 0, 0, 0} + payload, 6, sum};
}

Segment dccp(const Bytes& payload, Sum sum) {
  return {33, Bytes{0x9c, 0x40, 0, 53, 3, 0, 0, 0, 4, 0, 0, 1} + payload, 6, sum};
}

namespace {
Segment icmp(std::uint8_t protocol, std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Bytes& data,
             Sum sum) {
  Bytes bytes{type, code, 0, 0};
  push32(bytes, rest);
  return {protocol, bytes + data, 2, sum};
}
}  // namespace

Segment icmp4(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Bytes& data, Sum sum) {
  return icmp(kIcmp4, type, code, rest, data, sum);
}
Segment icmp6(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Bytes& data, Sum sum) {
  return icmp(kIcmp6, type, code, rest, data, sum);
}
Segment raw(std::uint8_t protocol, const Bytes& bytes) { return {protocol, bytes, {}, Sum::right}; }

Bytes extension(std::size_t size) {
  constexpr std::uint8_t kVersion = 2 << 4, kMplsLabelStack = 1, kIncoming = 1;
  Bytes bytes{kVersion, 0, 0, 0, 0, 0, kMplsLabelStack, kIncoming};
  put16(bytes, 4, static_cast<unsigned>(4 + size));
  bytes = bytes + counting(size, 0xe0);
  put16(bytes, 2, 65535 - sum_mod(bytes));
  return bytes;
}

Bytes padded(Bytes datagram, std::size_t word) {
  datagram.resize(std::max<std::size_t>(128, (datagram.size() + word - 1) / word * word));
  return datagram;
}

Bytes packet(const Ip4& header, Segment segment) {
  const auto source = address4(header.source);
  const auto destination = address4(header.destination);
  finish(segment, source, destination);
  const std::size_t length = 20 + header.options.size();
  Bytes bytes(12);
  bytes[0] = header.version_ihl.value_or(static_cast<std::uint8_t>(0x40 + length / 4));
  bytes[1] = header.tos;
  put16(bytes, 2, header.total_length.value_or(static_cast<std::uint16_t>(length + segment.bytes.size())));
  put16(bytes, 4, header.id);
  put16(
      bytes, 6,
      (header.reserved ? 0x8000U : 0U) | (header.df ? 0x4000U : 0U) | (header.mf ? 0x2000U : 0U) | header.offset / 8U);
  bytes[8] = header.ttl;
  bytes[9] = segment.protocol;
  bytes = bytes + source + destination + header.options;
  put16(bytes, 10, header.checksum.value_or(static_cast<std::uint16_t>(65535 - sum_mod(bytes))));
  return bytes + segment.bytes;
}

Bytes packet(const Ip6& header, Segment segment) {
  const auto source = address6(header.source);
  const auto destination = address6(header.destination);
  finish(segment, source, destination);
  Bytes bytes;
  push32(bytes, std::uint32_t{header.version.value_or(6)} << 28 | std::uint32_t{header.traffic_class} << 20 |
                    header.flow_label);
  bytes.resize(8);
  const auto behind = header.chain + segment.bytes;
  put16(bytes, 4, header.payload_length.value_or(static_cast<std::uint16_t>(behind.size())));
  bytes[6] = header.chain.empty() ? segment.protocol : header.chain_first;
  bytes[7] = header.hop_limit;
  return bytes + source + destination + behind;
}

Bytes fragment_header(std::uint8_t next, std::uint16_t offset, bool more, std::uint32_t id, std::uint8_t reserved) {
  Bytes bytes{next, reserved, static_cast<std::uint8_t>(offset >> 8),
              static_cast<std::uint8_t>((offset & 0xf8) | (more ? 1 : 0))};
  push32(bytes, id);
  return bytes;
}

namespace {
Segment cut(const Segment& whole, std::size_t from, std::size_t size) {
  const auto begin = whole.bytes.begin() + static_cast<std::ptrdiff_t>(from);
  return raw(whole.protocol, Bytes(begin, begin + static_cast<std::ptrdiff_t>(size)));
}
}  // namespace

Segment piece(const Ip4& header, Segment whole, std::size_t from, std::size_t size) {
  finish(whole, address4(header.source), address4(header.destination));
  return cut(whole, from, size);
}
Segment piece(const Ip6& header, Segment whole, std::size_t from, std::size_t size) {
  finish(whole, address6(header.source), address6(header.destination));
  return cut(whole, from, size);
}

Bytes address4(const std::string& text) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (std::sscanf(text.c_str(), "%3u.%3u.%3u.%3u", &a, &b, &c, &d) != 4) {
    throw std::invalid_argument("not an IPv4 address: " + text);
  }
  return {static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b), static_cast<std::uint8_t>(c),
          static_cast<std::uint8_t>(d)};
}

Bytes address6(const std::string& text) {
  // Words in front of "::" and behind it; hexadecimal only.
  Bytes front, back;
  Bytes* side = &front;
  std::string rest = text;
  const auto gap = rest.find("::");
  const auto take = [&side](const std::string& words) {
    std::istringstream stream(words);
    for (std::string word; std::getline(stream, word, ':');) {
      const auto value = std::stoul(word, nullptr, 16);
      side->push_back(static_cast<std::uint8_t>(value >> 8));
      side->push_back(static_cast<std::uint8_t>(value));
    }
  };
  take(rest.substr(0, gap));
  if (gap != std::string::npos) {
    side = &back;
    take(rest.substr(gap + 2));
  }
  if (front.size() + back.size() > 16) throw std::invalid_argument("not an IPv6 address: " + text);
  front.resize(16 - back.size());
  return front + back;
}

namespace {

std::string transport_fault(const Bytes& source, const Bytes& destination, std::uint8_t protocol, const Bytes& bytes,
                            bool six) {
  if (protocol != kTcp && protocol != kUdp && protocol != kIcmp4 && protocol != kIcmp6) return {};
  const std::size_t field = protocol == kTcp ? 16 : protocol == kUdp ? 6 : 2;
  if (bytes.size() < field + 2) return {};
  const Segment segment{protocol, bytes, field};
  const auto length = covered(segment);
  if (protocol == kUdp && bytes[6] == 0 && bytes[7] == 0) return six ? "UDP checksum 0 over IPv6" : std::string{};
  const auto pseudo = protocol == kIcmp4 ? Bytes{} : pseudo_header(source, destination, protocol, length);
  return sum_mod(pseudo + head(bytes, length)) == 65535 ? ""
                                                        : "transport checksum of protocol " + std::to_string(protocol);
}

}  // namespace

std::string checksum_fault(std::span<const std::uint8_t> packet, bool partial) {
  Bytes bytes(packet.begin(), packet.end());
  const auto slice = [&bytes](std::size_t from, std::size_t to) {
    return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.begin() + static_cast<std::ptrdiff_t>(to));
  };
  if (bytes.size() < 20) return "no packet";
  // Padding behind the packet is covered by no checksum.
  const std::size_t length = bytes[0] >> 4 == 4 ? bytes[2] * 256U + bytes[3] : 40 + bytes[4] * 256U + bytes[5];
  if (length > bytes.size()) return "length beyond the packet";
  bytes.resize(length);
  if (bytes[0] >> 4 == 4) {
    const std::size_t header = (bytes[0] & 15U) * 4U;
    if (sum_mod(slice(0, header)) != 65535) return "IPv4 header checksum";
    if (partial || (bytes[6] & 0x3f) != 0 || bytes[7] != 0) return {};
    return transport_fault(slice(12, 16), slice(16, 20), bytes[9], slice(header, bytes.size()), false);
  }
  if (bytes.size() < 40) return "no packet";
  if (partial || bytes[6] == 44) return {};
  return transport_fault(slice(8, 24), slice(24, 40), bytes[6], slice(40, bytes.size()), true);
}

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  char buffer[4];
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::snprintf(buffer, sizeof buffer, "%02x%c", bytes[i], i % 16 == 15 ? '\n' : ' ');
    text += buffer;
  }
  return text;
}

}  // namespace clat::test
