// Super-packets made of what comes in one flow, and cut again: what comes out is what went in.
#include "core/xlat/coalesce.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "coalescing.hpp"
#include "tests/support/vector_parts.hpp"

namespace clat::xlat {
namespace {

using test::Bytes;
using test::operator+;

constexpr VnetHeader kUnfinished4{VnetHeader::kNeedsChecksum, 0, 0, 0, 20, 6};
constexpr VnetHeader kUnfinished6{VnetHeader::kNeedsChecksum, 0, 0, 0, 40, 6};
constexpr VnetHeader kVerified{VnetHeader::kDataValid, 0, 0, 0, 0, 0};

test::Segment udp(std::size_t payload, test::Sum sum = test::Sum::partial, test::Ports ports = {}) {
  return test::udp(test::counting(payload, static_cast<std::uint8_t>(payload)), sum, ports);
}
test::Ip4 header4(std::uint16_t id) {
  auto header = test::in4(test::neutral());
  header.id = id;
  return header;
}
Packet ipv4(std::uint16_t id, std::size_t payload) { return {test::packet(header4(id), udp(payload)), kUnfinished4}; }
Packet ipv6(std::size_t payload) { return {test::packet(test::out6(test::neutral()), udp(payload)), kUnfinished6}; }

TEST(Coalescer, MakesOneSuperPacketOfIpv6) {
  const auto out = Coalescing().all({ipv6(64), ipv6(64), ipv6(64)});
  ASSERT_EQ(out.size(), 1U);
  const VnetHeader expected{VnetHeader::kNeedsChecksum, VnetHeader::kGsoUdp, 48, 64, 40, 6};
  EXPECT_EQ(out[0].vnet, expected);
  const auto three = test::counting(64, 64);
  EXPECT_EQ(out[0].bytes,
            test::packet(test::out6(test::neutral()), test::udp(three + three + three, test::Sum::partial)));
}

TEST(Coalescer, MakesOneSuperPacketOfIpv4) {
  const auto out = Coalescing().all({ipv4(0xffff, 64), ipv4(0, 64), ipv4(1, 64)});
  ASSERT_EQ(out.size(), 1U);
  const VnetHeader expected{VnetHeader::kNeedsChecksum, VnetHeader::kGsoUdp, 28, 64, 20, 6};
  EXPECT_EQ(out[0].vnet, expected);
  const auto three = test::counting(64, 64);
  EXPECT_EQ(out[0].bytes, test::packet(header4(0xffff), test::udp(three + three + three, test::Sum::partial)));
}

TEST(Coalescer, LeavesASinglePacketAsItIs) {
  for (const auto& packet : {ipv4(7, 64), ipv6(64)}) EXPECT_EQ(Coalescing().all({packet}), std::vector{packet});
}

TEST(Coalescer, TakesAShorterOneAsTheLast) {
  const auto out = Coalescing().all({ipv6(64), ipv6(64), ipv6(9), ipv6(9), ipv6(64)});
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0].bytes.size(), 48U + 64 + 64 + 9);
  EXPECT_EQ(out[1].bytes.size(), 48U + 9) << "a longer one begins anew";
  EXPECT_EQ(out[2].bytes.size(), 48U + 64);
}

TEST(Coalescer, HoldsBackOneRunAtATime) {
  Coalescing coalescing;
  coalescing.send(ipv6(64));
  coalescing.send(ipv6(64));
  EXPECT_TRUE(coalescing.out().empty());
  coalescing.send(ipv4(1, 64));
  EXPECT_EQ(coalescing.out().size(), 1U);
  (*coalescing).flush();
  EXPECT_EQ(coalescing.out().size(), 2U);
  (*coalescing).flush();
  EXPECT_EQ(coalescing.out().size(), 2U) << "there is nothing left";
}

TEST(Coalescer, MakesNoMoreThan64SegmentsAnd64KiB) {
  const auto sizes = [](std::size_t payload) {
    std::vector<std::size_t> segments;
    for (const auto& packet : Coalescing().all(std::vector<Packet>(130, ipv6(payload)))) {
      segments.push_back((packet.bytes.size() - 48) / payload);
    }
    return segments;
  };
  EXPECT_EQ(sizes(1), (std::vector<std::size_t>{64, 64, 2}));
  EXPECT_EQ(sizes(1023), (std::vector<std::size_t>{64, 64, 2}));  // 48 + 64 * 1023 = 65520
  EXPECT_EQ(sizes(1024), (std::vector<std::size_t>{63, 63, 4}));
  EXPECT_EQ(sizes(32719), std::vector<std::size_t>(65, 2));  // 32767 bytes of each, two of which fit
  EXPECT_EQ(sizes(32720), std::vector<std::size_t>(130, 1));
}

// Two packets that would be one but for what a row changes.
struct Refusal {
  const char* name;
  Packet first, second;
};

Packet changed(Packet packet, const std::function<void(Packet&)>& change) {
  change(packet);
  return packet;
}
Packet from(const test::Ip4& header, const test::Segment& segment = udp(64), const VnetHeader& vnet = kUnfinished4) {
  return {test::packet(header, segment), vnet};
}
Packet from(const test::Ip6& header, const test::Segment& segment = udp(64), const VnetHeader& vnet = kUnfinished6) {
  return {test::packet(header, segment), vnet};
}
// The second of two, id 2, with a header field changed.
Refusal four(const char* name, const std::function<void(test::Ip4&)>& change) {
  auto header = header4(2);
  change(header);
  return {name, ipv4(1, 64), from(header)};
}
Refusal six(const char* name, const std::function<void(test::Ip6&)>& change) {
  auto header = test::out6(test::neutral());
  change(header);
  return {name, ipv6(64), from(header)};
}
// Both of them so.
Refusal both(const char* name, const test::Segment& segment, const VnetHeader& vnet) {
  const auto packet = from(test::out6(test::neutral()), segment, vnet);
  return {name, packet, packet};
}

std::vector<Refusal> refusals() {
  using test::Sum;
  auto fragment = header4(1);
  fragment.mf = true;
  auto options = header4(1);
  options.options = Bytes(4, 1);
  auto chained = test::out6(test::neutral());
  chained.chain_first = 44;
  chained.chain = test::fragment_header(17, 0, false, 1);
  auto optioned = test::out6(test::neutral());
  optioned.chain_first = 60;
  optioned.chain = {17, 0, 1, 4, 0, 0, 0, 0};
  const VnetHeader behind_eight{VnetHeader::kNeedsChecksum, 0, 0, 0, 48, 6};
  const auto super = test::packet(test::out6(test::neutral()), udp(128));
  const Packet super_packet{super, {VnetHeader::kNeedsChecksum, VnetHeader::kGsoUdp, 48, 64, 40, 6}};
  return {
      four("ipv4_source", [](auto& h) { h.source = "203.0.113.99"; }),
      four("ipv4_destination", [](auto& h) { h.destination = "192.0.0.5"; }),
      four("tos", [](auto& h) { h.tos = 1; }),
      four("ttl", [](auto& h) { --h.ttl; }),
      four("df", [](auto& h) { h.df = !h.df; }),
      four("same_identification", [](auto& h) { h.id = 1; }),
      four("identification_with_a_gap", [](auto& h) { h.id = 3; }),
      six("ipv6_source", [](auto& h) { h.source = "2001:db8::99"; }),
      six("ipv6_destination", [](auto& h) { h.destination = "64:ff9b::cb00:7163"; }),
      six("traffic_class", [](auto& h) { h.traffic_class = 1; }),
      six("flow_label", [](auto& h) { h.flow_label = 1; }),
      six("hop_limit", [](auto& h) { --h.hop_limit; }),
      {"version", ipv6(64), ipv4(1, 64)},
      {"source_port", ipv6(64), from(test::out6(test::neutral()), udp(64, Sum::partial, {.source = 1}))},
      {"destination_port", ipv6(64), from(test::out6(test::neutral()), udp(64, Sum::partial, {.destination = 1}))},
      {"longer", ipv6(64), ipv6(65)},
      {"empty", ipv6(64), ipv6(0)},
      {"fragments", from(fragment), from(fragment)},
      {"options", from(options, udp(64), {1, 0, 0, 0, 24, 6}), from(options, udp(64), {1, 0, 0, 0, 24, 6})},
      {"fragment_header", from(chained, udp(64), behind_eight), from(chained, udp(64), behind_eight)},
      {"extension_header", from(optioned, udp(64), behind_eight), from(optioned, udp(64), behind_eight)},
      both("tcp", test::tcp(test::counting(64), Sum::partial), {1, 0, 0, 0, 40, 16}),
      both("udp_lite", test::udp_lite(test::counting(64), Sum::partial), kUnfinished6),
      both("finished_checksum", udp(64, Sum::right), {}),
      both("wrong_checksum", udp(64, Sum::wrong), {}),
      both("no_checksum", udp(64, Sum::none), kVerified),
      both("wrong_unfinished_checksum", udp(64, Sum::wrong), kUnfinished6),
      both("checksum_of_something_inside", udp(64, Sum::right), {1, 0, 0, 0, 50, 6}),
      both("checksum_elsewhere", udp(64), {1, 0, 0, 0, 40, 4}),
      both("lying_udp_length", test::udp(test::counting(64), Sum::partial, {}, std::uint16_t{70}), kUnfinished6),
      {"super_packets", super_packet, super_packet},
      {"super_packet_behind", ipv6(64), super_packet},
      {"trailing_bytes", changed(ipv6(64), [](auto& p) { p.bytes.push_back(0); }),
       changed(ipv6(64), [](auto& p) { p.bytes.push_back(0); })},
      {"cut", changed(ipv6(64), [](auto& p) { p.bytes.pop_back(); }),
       changed(ipv6(64), [](auto& p) { p.bytes.pop_back(); })},
      {"header_alone", {Bytes(7, 0x45), kUnfinished4}, {Bytes(7, 0x45), kUnfinished4}},
      {"no_version", {Bytes(70, 0x05), kUnfinished4}, {Bytes(70, 0x05), kUnfinished4}},
  };
}

class CoalescerRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(CoalescerRefuses, AndLeavesBothAsTheyAre) {
  const std::vector packets{GetParam().first, GetParam().second};
  EXPECT_EQ(Coalescing().all(packets), packets);
}

INSTANTIATE_TEST_SUITE_P(Table, CoalescerRefuses, testing::ValuesIn(refusals()),
                         [](const auto& refusal) { return refusal.param.name; });

TEST(Coalescer, TakesVerifiedChecksums) {
  const auto one = from(test::out6(test::neutral()), udp(64, test::Sum::right), kVerified);
  const auto out = Coalescing().all({one, one, ipv6(64)});
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(on_the_wire(out), std::vector<Bytes>(3, one.bytes));
}

// Few addresses, ports and sizes, so that there are runs; and everything else that the tables have.
class Mixture {
 public:
  Packet next() {
    if (left_ == 0) begin();
    --left_;
    if (vector_ != nullptr) return {vector_->input, vector_->vnet};
    const auto payload = any(8) == 0 ? any(100) : payload_;
    const bool finished = any(40) == 0;
    const auto segment = udp(payload, finished || verified_ ? test::Sum::right : test::Sum::partial,
                             {.source = static_cast<std::uint16_t>(1000 + any(12) / 11)});
    if (is_ipv4_) {
      return from(header4(id_++), segment, finished ? VnetHeader{} : verified_ ? kVerified : kUnfinished4);
    }
    return from(test::out6(test::neutral()), segment, finished ? VnetHeader{} : verified_ ? kVerified : kUnfinished6);
  }
  std::size_t any(std::size_t below) { return random_() % below; }

 private:
  void begin() {
    left_ = 1 + any(100);
    vector_ = nullptr;
    if (any(4) == 0) {
      left_ = 1;
      vector_ = &test::vectors()[any(test::vectors().size())];
    }
    is_ipv4_ = any(2) == 0;
    verified_ = any(3) == 0;
    payload_ = std::array<std::size_t, 4>{1, 64, 1400, 9000}.at(any(4));
  }

  std::mt19937 random_{20'260'117};
  std::size_t left_ = 0, payload_ = 0;
  const test::Vector* vector_ = nullptr;
  bool is_ipv4_ = false, verified_ = false;
  std::uint16_t id_ = 0xff00;
};

TEST(Coalescer, ChangesNothingOnTheWire) {
  Mixture mixture;
  Coalescing coalescing;
  std::size_t in = 0, out = 0;
  for (int batch = 0; batch < 400; ++batch) {
    std::vector<Packet> packets;
    for (auto left = 1 + mixture.any(64); left != 0; --left) packets.push_back(mixture.next());
    const auto made = coalescing.all(packets);
    ASSERT_EQ(on_the_wire(made), on_the_wire(packets)) << "batch " << batch;
    in += packets.size();
    out += made.size();
  }
  EXPECT_LT(out, in / 2) << "hardly any were put together";
}

}  // namespace
}  // namespace clat::xlat
