// Neighbour Advertisements (RFC 4861 §4.4), byte by byte.
#include "core/net/neighbour_message.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/icmpv6.hpp"

namespace clat {
namespace {

using Packet = std::vector<std::uint8_t>;

TEST(UnsolicitedAdvertisement, OverridesWhatNeighboursKnow) {
  const auto source = *Ipv6Address::parse("fe80::2");
  const auto target = *Ipv6Address::parse("2001:db8::c1a7");
  const auto packet = unsolicited_advertisement({source, target, {{2, 0, 0, 0, 0, 9}}});
  Packet expected(72);
  expected[0] = 0x60;
  expected[5] = 32;
  expected[6] = 58;
  expected[7] = 255;
  std::ranges::copy(source.bytes, expected.begin() + 8);
  std::ranges::copy(Ipv6Address::parse("ff02::1")->bytes, expected.begin() + 24);
  expected[40] = 136;
  expected[44] = 0x20;  // Override; neither Router nor Solicited
  std::ranges::copy(target.bytes, expected.begin() + 48);
  std::ranges::copy(Packet{2, 1, 2, 0, 0, 0, 0, 9}, expected.begin() + 64);
  test::set_icmpv6_checksum(expected);
  EXPECT_EQ(packet, expected);
}

}  // namespace
}  // namespace clat
