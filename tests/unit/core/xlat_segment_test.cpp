// Super-packets cut into wire packets, against the packets that a host without offloads would have sent.
#include <gtest/gtest.h>

#include "core/xlat/segment.hpp"
#include "tests/support/vector_parts.hpp"
#include "xlat_run.hpp"

namespace clat::xlat {
namespace {

using test::Bytes;
using test::operator+;

struct Cutting {
  bool fit;
  std::vector<Bytes> packets;
};
Cutting cut(const Bytes& input, const VnetHeader& vnet) {
  std::vector<std::uint8_t> block(input);
  Segments segments({block.data(), block.size(), vnet});
  Cutting cutting{segments.fit(), {}};
  for (Frame segment; segments.next(segment);) {
    EXPECT_EQ(segment.vnet, VnetHeader{});
    cutting.packets.emplace_back(segment.data, segment.data + segment.size);
  }
  return cutting;
}

Bytes slice(const Bytes& bytes, std::size_t from, std::size_t size) {
  const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(from);
  return {begin, begin + static_cast<std::ptrdiff_t>(std::min(size, bytes.size() - from))};
}

constexpr std::uint8_t kFin = 1, kPush = 8, kAck = 0x10, kCwr = 0x80;

// What stands between the first and the last is neither.
std::vector<test::Segment> tcp_segments(const Bytes& payload, std::size_t size, std::uint8_t flags) {
  std::vector<test::Segment> all;
  for (std::size_t at = 0; at < payload.size(); at += size) {
    auto mine = flags;
    if (at != 0) mine &= static_cast<std::uint8_t>(~kCwr);
    if (at + size < payload.size()) mine &= static_cast<std::uint8_t>(~(kFin | kPush));
    auto segment = test::tcp(slice(payload, at, size), test::Sum::right, {}, mine);
    store_be32(segment.bytes.data() + 4, static_cast<std::uint32_t>(1 + at));
    all.push_back(segment);
  }
  return all;
}
std::vector<test::Segment> udp_segments(const Bytes& payload, std::size_t size) {
  std::vector<test::Segment> all;
  for (std::size_t at = 0; at < payload.size(); at += size) all.push_back(test::udp(slice(payload, at, size)));
  return all;
}

std::vector<Bytes> packets4(test::Ip4 header, const std::vector<test::Segment>& segments) {
  std::vector<Bytes> all;
  for (const auto& segment : segments) {
    all.push_back(test::packet(header, segment));
    ++header.id;
  }
  return all;
}
std::vector<Bytes> packets6(const test::Ip6& header, const std::vector<test::Segment>& segments) {
  std::vector<Bytes> all;
  for (const auto& segment : segments) all.push_back(test::packet(header, segment));
  return all;
}

test::Ip4 header4() {
  auto header = test::out4(test::operators96());
  header.id = 0xfffe;  // wraps
  header.df = true;
  return header;
}
test::Ip6 header6() { return test::in6(test::operators96()); }

TEST(Segments, CutTcp) {
  const auto payload = test::counting(3100);
  const std::uint8_t flags = kFin | kPush | kAck | kCwr;
  const auto super = test::tcp(payload, test::Sum::partial, {}, flags);
  const auto expected = tcp_segments(payload, 1000, flags);
  EXPECT_EQ(cut(test::packet(header4(), super), {1, VnetHeader::kGsoTcp4, 0, 1000, 20, 16}).packets,
            packets4(header4(), expected));
  EXPECT_EQ(
      cut(test::packet(header6(), super), {1, VnetHeader::kGsoTcp6 | VnetHeader::kGsoEcn, 0, 1000, 40, 16}).packets,
      packets6(header6(), expected));
}

// A driver may have verified the whole and say no more about it.
TEST(Segments, CutTcpWithFinishedChecksum) {
  const auto payload = test::counting(3000);
  const auto super = test::tcp(payload, test::Sum::right);
  EXPECT_EQ(cut(test::packet(header6(), super), {0, VnetHeader::kGsoTcp6, 0, 1400, 0, 0}).packets,
            packets6(header6(), tcp_segments(payload, 1400, kAck)));
}

TEST(Segments, CutUdp) {
  const auto payload = test::counting(2500);
  const auto super = test::udp(payload, test::Sum::partial);
  const auto expected = udp_segments(payload, 1200);
  EXPECT_EQ(cut(test::packet(header4(), super), {1, VnetHeader::kGsoUdp, 0, 1200, 20, 6}).packets,
            packets4(header4(), expected));
  EXPECT_EQ(cut(test::packet(header6(), super), {1, VnetHeader::kGsoUdp, 0, 1200, 40, 6}).packets,
            packets6(header6(), expected));
}

// Segments shorter than their headers lie over the whole of those before them.
TEST(Segments, CutIntoSmallPieces) {
  const auto payload = test::counting(300);
  EXPECT_EQ(cut(test::packet(header6(), test::tcp(payload, test::Sum::partial)), {1, 4, 0, 7, 40, 16}).packets,
            packets6(header6(), tcp_segments(payload, 7, kAck)));
}

TEST(Segments, CutBehindOptionsAndExtensionHeaders) {
  const auto payload = test::counting(2500);
  auto four = header4();
  four.options = Bytes(8, 1);
  const auto super = test::udp(payload, test::Sum::partial);
  EXPECT_EQ(cut(test::packet(four, super), {1, VnetHeader::kGsoUdp, 0, 1200, 28, 6}).packets,
            packets4(four, udp_segments(payload, 1200)));
  auto six = header6();
  six.chain_first = 60;
  six.chain = {17, 0, 1, 4, 0, 0, 0, 0};
  EXPECT_EQ(cut(test::packet(six, super), {1, VnetHeader::kGsoUdp, 0, 1200, 48, 6}).packets,
            packets6(six, udp_segments(payload, 1200)));
}

TEST(Segments, LeaveOutWhatTrails) {
  const auto payload = test::counting(2500);
  const auto super = test::packet(header6(), test::tcp(payload, test::Sum::partial)) + test::counting(5);
  EXPECT_EQ(cut(super, {1, 4, 0, 1200, 40, 16}).packets, packets6(header6(), tcp_segments(payload, 1200, kAck)));
}

TEST(Segments, FinishTheChecksumOfAnOrdinaryPacket) {
  const auto payload = test::counting(101);
  for (const auto& make : {test::udp(payload, test::Sum::partial), test::tcp(payload, test::Sum::partial)}) {
    auto finished = make;
    finished.sum = test::Sum::right;
    const auto offset = static_cast<std::uint16_t>(*make.checksum_at);
    const std::vector<Bytes> four{test::packet(header4(), finished)}, six{test::packet(header6(), finished)};
    EXPECT_EQ(cut(test::packet(header4(), make), {1, 0, 0, 0, 20, offset}).packets, four);
    EXPECT_EQ(cut(test::packet(header6(), make), {1, 0, 0, 0, 40, offset}).packets, six);
    EXPECT_EQ(cut(four[0], {}).packets, four);
  }
}

TEST(Segments, RefuseWhatDoesNotFitItsVnetHeader) {
  const auto tcp = test::packet(header4(), test::tcp(test::counting(3000), test::Sum::partial));
  for (const VnetHeader& vnet : {VnetHeader{1, 4, 0, 1400, 20, 16}, VnetHeader{1, 5, 0, 1400, 20, 16},
                                 VnetHeader{1, 1, 0, 0, 20, 16}, VnetHeader{1, 0, 0, 0, 3039, 0}}) {
    const auto cutting = cut(tcp, vnet);
    EXPECT_FALSE(cutting.fit);
    EXPECT_TRUE(cutting.packets.empty());
  }
  EXPECT_FALSE(cut({}, {}).fit);
  EXPECT_FALSE(cut(Bytes(30, 0x45), {}).fit);
}

// More headers than are ever repeated: options of 256 bytes and more.
TEST(Segments, RefuseEndlessHeaders) {
  auto six = header6();
  six.chain_first = 60;
  six.chain = Bytes{17, 31, 1, 252} + Bytes(252);
  const auto super = test::udp(test::counting(2500), test::Sum::partial);
  EXPECT_FALSE(cut(test::packet(six, super), {1, VnetHeader::kGsoUdp, 0, 1200, 40 + 256, 6}).fit);
}

}  // namespace
}  // namespace clat::xlat
