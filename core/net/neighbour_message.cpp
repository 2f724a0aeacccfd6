#include "core/net/neighbour_message.hpp"

#include <algorithm>

#include "core/net/nd_packet.hpp"

namespace clat {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kNeighbourSolicitation = 135;
constexpr std::uint8_t kNeighbourAdvertisement = 136;
constexpr std::size_t kFixedPart = 24;  // bytes before the options, of both
constexpr std::size_t kTargetAt = 8;
constexpr std::size_t kFlagsAt = 4;
constexpr std::uint8_t kSolicitedFlag = 0x40;
constexpr std::uint8_t kOverrideFlag = 0x20;
constexpr std::uint8_t kSourceLinkLayer = 1;
constexpr std::uint8_t kTargetLinkLayer = 2;
constexpr std::uint8_t kNonceOption = 14;  // RFC 3971 §5.3.2
constexpr std::size_t kOption = 8;         // an Ethernet address, or six bytes of a nonce

// Of a message with one option of six bytes.
std::array<std::uint8_t, kFixedPart + kOption> message_about(std::uint8_t type, const Ipv6Address& target,
                                                             std::uint8_t option,
                                                             const std::array<std::uint8_t, 6>& value) {
  std::array<std::uint8_t, kFixedPart + kOption> message{type};
  std::ranges::copy(target.bytes, message.begin() + kTargetAt);
  message[kFixedPart] = option;
  message[kFixedPart + 1] = 1;  // in units of 8 bytes
  std::ranges::copy(value, message.begin() + kFixedPart + 2);
  return message;
}

std::optional<std::array<std::uint8_t, 6>> six_bytes(Bytes option) {
  if (option.size() != kOption) return std::nullopt;
  std::array<std::uint8_t, 6> value{};
  std::ranges::copy(option.subspan(2), value.begin());
  return value;
}

Result<NeighbourMessage> advertisement(const NdPacket& packet, const Ipv6Address& target) {
  if (packet.destination.is_multicast() && (packet.message[kFlagsAt] & kSolicitedFlag) != 0) {
    return failure("it answers everybody");
  }
  NeighbourMessage heard{.kind = NeighbourMessage::Kind::advertisement, .target = target};
  const auto read = each_nd_option(packet.message.subspan(kFixedPart), [&](Bytes option) {
    if (option[0] != kTargetLinkLayer) return;
    if (const auto mac = six_bytes(option)) heard.mac = MacAddress{*mac};
  });
  if (!read) return std::unexpected(read.error());
  return heard;
}

Result<NeighbourMessage> solicitation(const NdPacket& packet, const Ipv6Address& target) {
  const bool probes = packet.source.is_unspecified();
  if (probes && packet.destination != solicited_node_group(target)) return failure("it probes elsewhere");
  NeighbourMessage heard{.kind = probes ? NeighbourMessage::Kind::probe : NeighbourMessage::Kind::question,
                         .target = target};
  bool names_its_sender = false;
  const auto read = each_nd_option(packet.message.subspan(kFixedPart), [&](Bytes option) {
    names_its_sender |= option[0] == kSourceLinkLayer;
    if (option[0] == kNonceOption && probes) heard.nonce = six_bytes(option);
  });
  if (!read) return std::unexpected(read.error());
  if (probes && names_its_sender) return failure("it has a link-layer address and no other");
  return heard;
}

}  // namespace

std::vector<std::uint8_t> unsolicited_advertisement(const AddressClaim& claim) {
  auto message = message_about(kNeighbourAdvertisement, claim.target, kTargetLinkLayer, claim.mac.bytes);
  message[kFlagsAt] = kOverrideFlag;
  return make_nd_packet(claim.source, kAllNodes, message);
}

std::vector<std::uint8_t> duplicate_address_probe(const AddressProbe& probe) {
  const auto message = message_about(kNeighbourSolicitation, probe.target, kNonceOption, probe.nonce);
  return make_nd_packet({}, solicited_node_group(probe.target), message);
}

Ipv6Address solicited_node_group(const Ipv6Address& address) {
  Ipv6Address group{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};
  std::copy(address.bytes.begin() + 13, address.bytes.end(), group.bytes.begin() + 13);
  return group;
}

MacAddress group_mac(const Ipv6Address& group) {
  MacAddress mac{{0x33, 0x33}};
  std::copy(group.bytes.begin() + 12, group.bytes.end(), mac.bytes.begin() + 2);
  return mac;
}

Result<NeighbourMessage> parse_neighbour_message(Bytes packet) {
  const auto opened = open_nd_packet(packet, kFixedPart);
  if (!opened) return std::unexpected(opened.error());
  const auto& message = opened->message;
  const auto target = nd_address(message, kTargetAt);
  if (message[1] != 0) return failure("its code is not 0");
  if (target.is_multicast()) return failure("its target is a group");
  switch (message[0]) {
    case kNeighbourAdvertisement: return advertisement(*opened, target);
    case kNeighbourSolicitation: return solicitation(*opened, target);
    default: return failure("it is about no neighbour");
  }
}

}  // namespace clat
