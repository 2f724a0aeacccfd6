// ICMPv4 Echo (RFC 792), as far as it asks one question and knows the answer.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace clat {

// By which an answer is told from others'. The nonce goes in the data, so that nobody off the path can answer.
struct EchoId {
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  std::uint64_t nonce = 0;
  bool operator==(const EchoId&) const = default;
};

constexpr std::size_t kEchoSize = 16;  // bytes, header included
std::array<std::uint8_t, kEchoSize> make_echo_request(const EchoId& id);
// `packet`: from the IPv4 header on, as a raw socket hears it.
bool is_echo_reply(std::span<const std::uint8_t> packet, const EchoId& id);

}  // namespace clat
