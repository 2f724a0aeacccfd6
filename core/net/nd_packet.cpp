#include "core/net/nd_packet.hpp"

#include <algorithm>
#include <string>

#include "core/net/checksum.hpp"

namespace clat {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kIpv6Header = 40;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kNdHopLimit = 255;

// Of the ICMPv6 message with the pseudo-header of `header`; 0 where the message's own checksum is right.
std::uint16_t nd_checksum(Bytes header, Bytes message) {
  const auto length = static_cast<std::uint32_t>(message.size());
  const auto pseudo = checksum_add(header.subspan(8, 32), (length >> 16) + (length & 0xffff) + kIcmpv6);
  return static_cast<std::uint16_t>(~checksum_fold(checksum_add(message, pseudo)));
}

}  // namespace

Ipv6Address nd_address(Bytes bytes, std::size_t at) {
  Ipv6Address result;
  std::ranges::copy(bytes.subspan(at, result.bytes.size()), result.bytes.begin());
  return result;
}

Result<NdPacket> open_nd_packet(Bytes packet, std::size_t least) {
  if (packet.size() < kIpv6Header + least) return failure("it is too short");
  const Bytes header = packet.first(kIpv6Header);
  const std::size_t length = std::size_t{header[4]} << 8 | header[5];
  if (header[0] >> 4 != 6 || header[6] != kIcmpv6) return failure("it is not ICMPv6");
  if (length < least || kIpv6Header + length > packet.size()) return failure("its length lies");
  if (header[7] != kNdHopLimit)
    return failure("its hop limit is " + std::to_string(header[7]) + ": it comes from another link");
  const Bytes message = packet.subspan(kIpv6Header, length);
  if (nd_checksum(header, message) != 0) return failure("its checksum is wrong");
  return NdPacket{nd_address(header, 8), nd_address(header, 24), message};
}

std::vector<std::uint8_t> make_nd_packet(const Ipv6Address& source, const Ipv6Address& destination, Bytes message) {
  std::vector<std::uint8_t> packet(kIpv6Header + message.size());
  packet[0] = 0x60;
  packet[4] = static_cast<std::uint8_t>(message.size() >> 8);
  packet[5] = static_cast<std::uint8_t>(message.size());
  packet[6] = kIcmpv6;
  packet[7] = kNdHopLimit;
  std::ranges::copy(source.bytes, packet.begin() + 8);
  std::ranges::copy(destination.bytes, packet.begin() + 24);
  std::ranges::copy(message, packet.begin() + kIpv6Header);
  const auto sum = nd_checksum(Bytes(packet).first(kIpv6Header), Bytes(packet).subspan(kIpv6Header));
  packet[kIpv6Header + 2] = static_cast<std::uint8_t>(sum >> 8);
  packet[kIpv6Header + 3] = static_cast<std::uint8_t>(sum);
  return packet;
}

}  // namespace clat
