// Any packet as a message of neighbours; and once more with what the checks before its options want, so that these are
// reached.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/net/neighbour_message.hpp"
#include "require.hpp"
#include "tests/support/icmpv6.hpp"

using clat::test::require;

namespace {

void read(const std::vector<std::uint8_t>& packet) {
  const auto heard = clat::parse_neighbour_message(packet);
  if (!heard) return;
  using Kind = clat::NeighbourMessage::Kind;
  require(!heard->target.is_multicast());
  require(!heard->mac || heard->kind == Kind::advertisement);
  require(!heard->nonce || heard->kind == Kind::probe);
}

void make_plausible(std::vector<std::uint8_t>& packet) {
  clat::test::make_nd_header(packet);
  packet[40] = packet[40] % 2 == 0 ? 136 : 135;
  packet[41] = 0;
  packet[48] &= 0x7f;
  // From nobody it goes to the group of its target.
  if (std::all_of(packet.begin() + 8, packet.begin() + 24, [](auto byte) { return byte == 0; })) {
    clat::Ipv6Address target;
    std::copy_n(packet.begin() + 48, target.bytes.size(), target.bytes.begin());
    std::ranges::copy(clat::solicited_node_group(target).bytes, packet.begin() + 24);
  }
  clat::test::set_icmpv6_checksum(packet);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A block of its own: one byte too far is seen.
  std::vector<std::uint8_t> packet(data, data + size);
  read(packet);
  if (size < 64 || size > 1500) return 0;
  make_plausible(packet);
  read(packet);
  return 0;
}
