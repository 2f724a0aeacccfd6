#include "core/net/echo.hpp"

#include <algorithm>
#include <cstddef>

#include "core/net/checksum.hpp"

namespace clat {

namespace {

constexpr std::uint8_t kEchoRequest = 8, kEchoReply = 0, kIcmpProtocol = 1;
constexpr std::size_t kShortestIpv4 = 20, kProtocolAt = 9;

std::array<std::uint8_t, kEchoSize> echo_message(std::uint8_t type, const EchoId& id) {
  std::array<std::uint8_t, kEchoSize> bytes{type};
  const auto put = [&bytes](std::size_t at, std::size_t size, std::uint64_t value) {
    for (std::size_t i = 0; i < size; ++i) bytes.at(at + i) = static_cast<std::uint8_t>(value >> 8 * (size - 1 - i));
  };
  put(4, 2, id.identifier);
  put(6, 2, id.sequence);
  put(8, 8, id.nonce);
  put(2, 2, static_cast<std::uint16_t>(~checksum_fold(checksum_add(bytes))));
  return bytes;
}

}  // namespace

std::array<std::uint8_t, kEchoSize> make_echo_request(const EchoId& id) { return echo_message(kEchoRequest, id); }

bool is_echo_reply(std::span<const std::uint8_t> packet, const EchoId& id) {
  if (packet.size() < kShortestIpv4 || packet[0] >> 4 != 4 || packet[kProtocolAt] != kIcmpProtocol) return false;
  const std::size_t header = 4UL * (packet[0] & 0x0fU);
  if (header < kShortestIpv4 || packet.size() != header + kEchoSize) return false;
  return std::ranges::equal(packet.subspan(header), echo_message(kEchoReply, id));
}

}  // namespace clat
