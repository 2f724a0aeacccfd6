// Properties of core/xlat over random, mutated and hostile packets.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/vector_parts.hpp"
#include "xlat_run.hpp"

namespace clat::xlat {
namespace {

using test::Bytes;

// There and back.

class XlatProperty : public testing::TestWithParam<test::Scene> {
 protected:
  std::mt19937 random_{20260101};
  std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }
  std::size_t below(std::size_t bound) { return random_() % bound; }

  // A segment that both families know by the same bytes, or an echo.
  test::Segment segment(bool six) {
    const auto payload = test::counting(below(1200), byte());
    const test::Ports ports{static_cast<std::uint16_t>(random_()), static_cast<std::uint16_t>(random_())};
    switch (below(3)) {
      case 0: return test::tcp(payload, test::Sum::right, ports, byte());
      case 1: return test::udp(payload, test::Sum::right, ports);
      default: break;
    }
    const bool request = below(2) == 0;
    return six ? test::icmp6(request ? 128 : 129, 0, random_(), payload)
               : test::icmp4(request ? 8 : 0, 0, random_(), payload);
  }
};

// The translation of what came from the CLAT, with its addresses swapped, is what a peer echoing it would send: it
// must come back as the original with swapped addresses and two hops less. Swapping changes no checksum.
TEST_P(XlatProperty, ThereAndBackGivesThePacketBack) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
  for (int i = 0; i < 2'000; ++i) {
    auto header = test::out4(scene);
    header.tos = byte();
    header.ttl = static_cast<std::uint8_t>(3 + below(253));
    const auto whole = segment(false);
    const auto out = run(translator, test::packet(header, whole));
    ASSERT_EQ(name(out.verdict), "translated");
    auto six = out.packets.at(0).bytes;
    ASSERT_EQ(test::checksum_fault(six), "");
    std::swap_ranges(six.begin() + 8, six.begin() + 24, six.begin() + 24);
    const auto back = run(translator, six);
    ASSERT_EQ(name(back.verdict), "translated");
    const auto& four = back.packets.at(0).bytes;
    ASSERT_EQ(test::checksum_fault(four), "");
    std::swap(header.source, header.destination);
    header.ttl = static_cast<std::uint8_t>(header.ttl - 2);
    header.id = static_cast<std::uint16_t>(four[4] << 8 | four[5]);
    header.df = four.size() > 1260;
    ASSERT_EQ(four, test::packet(header, whole));
  }
}

TEST_P(XlatProperty, EveryChecksumComesOutRight) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
  for (int i = 0; i < 2'000; ++i) {
    const bool six = below(2) == 0;
    const auto packet =
        six ? test::packet(test::in6(scene), segment(true)) : test::packet(test::out4(scene), segment(false));
    const auto outcome = run(translator, packet);
    ASSERT_EQ(name(outcome.verdict), "translated");
    ASSERT_EQ(test::checksum_fault(outcome.packets.at(0).bytes), "");
    ASSERT_EQ(outcome.packets.at(0).bytes.size(), packet.size() + (six ? -20 : 20));
  }
}

// Whatever the bytes and the vnet header: no reading or writing outside (the sanitizers watch), lengths that agree with
// headers, and addresses that are ours to speak for.
void expect_sane_packet(const test::Clat& clat, const Packet& packet) {
  const auto& [bytes, vnet] = packet;
  const auto halves = [&](std::size_t at) { return load_halves(bytes.data() + at); };
  const OwnSide own(clat.v4, clat.v6, clat.ranges);
  ASSERT_GE(bytes.size(), 20U);
  if (bytes[0] >> 4 == 6) {
    ASSERT_GE(bytes.size(), 40U);
    EXPECT_EQ(bytes.size(), 40U + (bytes[4] << 8 | bytes[5]));
    std::uint32_t v4 = 0;
    EXPECT_TRUE(own.find(halves(8), v4));
    EXPECT_TRUE(Mapping(clat.prefix).contains(halves(24)));
  } else {
    EXPECT_EQ(bytes[0], 0x45);
    EXPECT_EQ(bytes.size(), static_cast<std::size_t>(bytes[2] << 8 | bytes[3]));
    EXPECT_TRUE(own.contains(load_be32(bytes.data() + 16)));
    EXPECT_EQ(test::checksum_fault(bytes, true), "");
  }
  if ((vnet.flags & VnetHeader::kNeedsChecksum) != 0) {
    EXPECT_LE(vnet.checksum_start + vnet.checksum_offset + 2U, bytes.size());
  }
  if (vnet.gso_type == VnetHeader::kGsoUdp) {
    EXPECT_NE(vnet.flags & VnetHeader::kNeedsChecksum, 0) << "no kernel takes it";
  }
}

bool is_icmp_error(const Bytes& bytes) {
  const bool six = bytes[0] >> 4 == 6;
  const std::size_t at = six ? 40 : (bytes[0] & 15U) * 4U;
  if (bytes.at(six ? 6 : 9) != (six ? 58 : 1) || bytes.size() <= at) return false;
  return six ? bytes[at] < 128 : bytes[at] == 3 || bytes[at] == 11 || bytes[at] == 12;
}

// An answer: one at most, after the sink was asked, never to an error, itself an error with the right checksums.
void expect_sane_answer(const Outcome& outcome, const Bytes& input) {
  ASSERT_LE(outcome.packets.size(), 1U);
  ASSERT_EQ(outcome.asked, static_cast<int>(outcome.packets.size()));
  for (const auto& [bytes, vnet] : outcome.packets) {
    EXPECT_FALSE(is_icmp_error(input));
    EXPECT_TRUE(is_icmp_error(bytes));
    EXPECT_EQ(bytes[0] >> 4, input[0] >> 4);
    EXPECT_EQ(test::checksum_fault(bytes), "");
    EXPECT_LE(bytes.size(), std::min<std::size_t>(input.size() + 48, bytes[0] >> 4 == 6 ? 1280 : 576));
    EXPECT_EQ(vnet, VnetHeader{});
  }
}

// 20 bytes of IP header and a Fragment Header; once more inside an ICMP error, whose quote may be padded by a word.
std::size_t most_growth(const Bytes& output) { return is_icmp_error(output) ? 2 * 28 + 4 : 28; }

void expect_sane(const test::Clat& clat, const Outcome& outcome, const Bytes& input) {
  for (const auto& packet : outcome.packets) expect_sane_packet(clat, packet);
  if (outcome.verdict != Verdict::translated) return expect_sane_answer(outcome, input);
  EXPECT_EQ(outcome.asked, 0);
  ASSERT_GE(outcome.packets.size(), 1U);
  for (const auto& [bytes, vnet] : outcome.packets) {
    EXPECT_LE(bytes.size(), input.size() + most_growth(bytes));
    EXPECT_NE(bytes[0] >> 4, input[0] >> 4);
    if (outcome.packets.size() > 1) {
      EXPECT_LE(bytes.size(), clat.mtus.sane().lowest_ipv6);
      EXPECT_EQ(vnet, VnetHeader{});
    }
  }
}

TEST_P(XlatProperty, MutatedVectorsDoNoHarm) {
  const auto clat = GetParam().clat();
  auto translator = make(clat);
  std::size_t translated = 0;
  for (int round = 0; round < 40; ++round) {
    for (const auto& vector : test::vectors()) {
      auto bytes = vector.input;
      if (bytes.size() > 4000 && round > 0) continue;
      auto vnet = vector.vnet;
      for (auto n = below(4); n > 0 && !bytes.empty(); --n) {
        // Mostly in the headers, where it matters.
        bytes[below(std::min<std::size_t>(bytes.size(), 64))] = byte();
      }
      if (below(3) == 0) bytes.resize(below(bytes.size() + 8));
      if (below(4) == 0) {
        vnet = {static_cast<std::uint8_t>(below(4)),    static_cast<std::uint8_t>(below(7)),
                static_cast<std::uint16_t>(below(100)), static_cast<std::uint16_t>(random_()),
                static_cast<std::uint16_t>(below(80)),  static_cast<std::uint16_t>(below(40))};
      }
      if (below(2) == 0 && bytes.size() >= 20 && bytes[0] == 0x45) {
        // Let the mutation past the header checksum.
        bytes[10] = bytes[11] = 0;
        std::uint32_t sum = 0;
        for (int i = 0; i < 20; i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = ~((sum & 0xffff) + (sum >> 16));
        bytes[10] = static_cast<std::uint8_t>(sum >> 8);
        bytes[11] = static_cast<std::uint8_t>(sum);
      }
      const auto outcome = run(translator, bytes, vnet);
      translated += outcome.verdict == Verdict::translated ? 1 : 0;
      expect_sane(clat, outcome, bytes);
    }
  }
  EXPECT_GT(translated, 100U);  // else the mutations test nothing
}

TEST_P(XlatProperty, RandomBytesDoNoHarm) {
  const auto clat = GetParam().clat();
  auto translator = make(clat);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(below(120));
    for (auto& b : bytes) b = byte();
    if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(below(2) == 0 ? 0x45 : 0x60);
    expect_sane(clat, run(translator, bytes), bytes);
  }
}

// Whatever the length field and the checksum say: only with an unfinished one may it go on.
TEST_P(XlatProperty, UdpSuperPacketsDoNoHarm) {
  const auto clat = GetParam().clat();
  auto translator = make(clat);
  for (int i = 0; i < 2'000; ++i) {
    const bool six = below(2) == 0, unfinished = below(2) == 0;
    const auto sum = unfinished ? test::Sum::partial : below(2) == 0 ? test::Sum::none : test::Sum::right;
    const auto udp = test::udp(test::counting(below(3000)), sum, {}, static_cast<std::uint16_t>(random_()));
    const auto bytes = six ? test::packet(test::in6(GetParam()), udp) : test::packet(test::out4(GetParam()), udp);
    VnetHeader vnet{.gso_type = VnetHeader::kGsoUdp, .gso_size = static_cast<std::uint16_t>(1 + below(1400))};
    if (unfinished) {
      vnet.flags = VnetHeader::kNeedsChecksum;
      vnet.checksum_start = six ? 40 : 20;
      vnet.checksum_offset = 6;
    }
    const auto outcome = run(translator, bytes, vnet);
    if (!unfinished) {
      ASSERT_EQ(name(outcome.verdict), "bad-offload");
    }
    expect_sane(clat, outcome, bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, XlatProperty, testing::ValuesIn(test::scenes()), [](const auto& scene) {
  auto text = scene.param.name;
  std::erase(text, '/');
  return "prefix_" + text;
});

}  // namespace
}  // namespace clat::xlat
