#include "core/net/neighbour_message.hpp"

#include <algorithm>
#include <array>

#include "core/net/nd_packet.hpp"

namespace clat {

namespace {

constexpr std::uint8_t kNeighbourAdvertisement = 136;
constexpr std::uint8_t kOverride = 0x20;
constexpr std::uint8_t kTargetLinkLayer = 2;

}  // namespace

std::vector<std::uint8_t> unsolicited_advertisement(const AddressClaim& claim) {
  std::array<std::uint8_t, 32> message{kNeighbourAdvertisement};
  message[4] = kOverride;
  std::ranges::copy(claim.target.bytes, message.begin() + 8);
  message[24] = kTargetLinkLayer;
  message[25] = 1;  // in units of 8 bytes
  std::ranges::copy(claim.mac.bytes, message.begin() + 26);
  return make_nd_packet(claim.source, kAllNodes, message);
}

}  // namespace clat
