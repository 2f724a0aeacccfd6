#include "core/net/echo.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/net/checksum.hpp"

namespace clat {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr EchoId kId{0x1234, 7, 0x0102030405060708};

TEST(Echo, Request) {
  const Bytes expected{8, 0, 0xd5, 0xb0, 0x12, 0x34, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8};
  const auto request = make_echo_request(kId);
  EXPECT_EQ(Bytes(request.begin(), request.end()), expected);
  EXPECT_EQ(checksum_fold(checksum_add(request)), 0xffff);
}

Bytes reply(unsigned options = 0) {
  Bytes packet(20 + options);
  packet[0] = static_cast<std::uint8_t>(0x45 + options / 4);
  packet[9] = 1;
  for (const int byte : {0, 0, 0xdd, 0xb0, 0x12, 0x34, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8}) {
    packet.push_back(static_cast<std::uint8_t>(byte));
  }
  return packet;
}

TEST(Echo, KnowsItsAnswer) {
  EXPECT_TRUE(is_echo_reply(reply(), kId));
  EXPECT_TRUE(is_echo_reply(reply(40), kId));
}

// Whatever is cut off, added or changed, but for what routers change in the IPv4 header.
TEST(Echo, TakesNothingElse) {
  for (const unsigned options : {0U, 40U}) {
    const auto good = reply(options);
    for (std::size_t size = 0; size < good.size(); ++size) {
      EXPECT_FALSE(is_echo_reply(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)), kId)) << size;
    }
    auto longer = good;
    longer.push_back(0);
    EXPECT_FALSE(is_echo_reply(longer, kId));
    for (std::size_t at = 20 + options; at < good.size(); ++at) {
      auto other = good;
      other[at] ^= 1;
      EXPECT_FALSE(is_echo_reply(other, kId)) << at;
    }
    for (int first = 0; first < 256; ++first) {
      auto other = good;
      other[0] = static_cast<std::uint8_t>(first);
      EXPECT_EQ(is_echo_reply(other, kId), first == good[0]) << first;
    }
    auto udp = good;
    udp[9] = 17;
    EXPECT_FALSE(is_echo_reply(udp, kId));
  }
  EXPECT_FALSE(is_echo_reply(reply(), {0x1234, 7, 0x0102030405060709}));
  EXPECT_FALSE(is_echo_reply(reply(), {0x1234, 8, 0x0102030405060708}));
  EXPECT_FALSE(is_echo_reply(reply(), {0x1235, 7, 0x0102030405060708}));
}

}  // namespace
}  // namespace clat
