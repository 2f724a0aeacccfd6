// Any packet as a router advertisement; and once more with what the checks before its options want, so that these are
// reached.
#include <cstdint>
#include <vector>

#include "core/net/router_advertisement.hpp"
#include "require.hpp"
#include "tests/support/icmpv6.hpp"

using clat::test::require;

namespace {

void read(const std::vector<std::uint8_t>& packet) {
  const auto heard = clat::parse_router_advertisement(packet);
  if (!heard) return;
  require(heard->router.is_link_local());
  require(heard->prefixes.size() <= clat::kMostAdvertisedPrefixes);
  require(heard->name_servers.size() <= clat::kMostAdvertisedNameServers);
  require(!heard->mtu || *heard->mtu >= 1280);
  for (const auto& each : heard->prefixes) {
    require(each.lifetime.count() >= 0 && each.lifetime.count() <= 65528 && each.lifetime.count() % 8 == 0);
    require(clat::Nat64Prefix::make(each.prefix.address(), each.prefix.length()).has_value());
  }
}

void make_plausible(std::vector<std::uint8_t>& packet) {
  clat::test::make_nd_header(packet);
  packet[8] = 0xfe;
  packet[9] = 0x80;
  packet[40] = 134;
  packet[41] = 0;
  clat::test::set_icmpv6_checksum(packet);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A block of its own: one byte too far is seen.
  std::vector<std::uint8_t> packet(data, data + size);
  read(packet);
  if (size < 56 || size > 1500) return 0;
  make_plausible(packet);
  read(packet);
  return 0;
}
