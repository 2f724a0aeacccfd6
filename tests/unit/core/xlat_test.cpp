// core/xlat against the table of vectors, and properties over random packets.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "core/xlat/translator.hpp"
#include "tests/support/vector_parts.hpp"
#include "tests/support/vectors.hpp"

namespace clat::xlat {
namespace {

using test::Bytes;
using test::Vector;

struct Packet {
  Bytes bytes;
  VnetHeader vnet;
  bool operator==(const Packet&) const = default;
};

// Copies what comes out, and dirties the headroom that a sink may use.
class Collector final : public Sink {
 public:
  void send(const Frame& frame) override {
    packets.push_back({Bytes(frame.data, frame.data + frame.size), frame.vnet});
    std::fill_n(frame.data - sizeof(VnetHeader), sizeof(VnetHeader), std::uint8_t{0xdb});
  }
  bool may_answer() override { return allow; }
  std::vector<Packet> packets;
  bool allow = true;
};

// The packet at the very end of a heap block, so that a sanitizer sees the first byte read too far.
struct Outcome {
  Verdict verdict;
  std::vector<Packet> packets;
};
Outcome run(Translator& translator, const Bytes& input, const VnetHeader& vnet = {}, bool may_answer = true) {
  std::vector<std::uint8_t> block(kHeadroom + input.size(), 0xa5);
  std::ranges::copy(input, block.begin() + kHeadroom);
  Collector collector;
  collector.allow = may_answer;
  const auto verdict = translator.translate({block.data() + kHeadroom, input.size(), vnet}, collector);
  return {verdict, std::move(collector.packets)};
}
Translator make(const test::Clat& clat) { return Translator(clat.settings(0x4711)); }

class XlatVector : public testing::TestWithParam<Vector> {};

TEST_P(XlatVector, IsMet) {
  const auto& vector = GetParam();
  auto translator = make(vector.clat);
  const auto outcome = run(translator, vector.input, vector.vnet, vector.clat.may_answer);
  EXPECT_EQ(name(outcome.verdict), name(vector.verdict));
  ASSERT_EQ(outcome.packets.size(), vector.expected.size());
  for (std::size_t i = 0; i < outcome.packets.size(); ++i) {
    EXPECT_EQ(test::mismatch(vector, outcome.packets[i].bytes, i), "") << "packet " << i;
    EXPECT_EQ(outcome.packets[i].vnet, vector.expected_vnet) << "packet " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, XlatVector, testing::ValuesIn(test::vectors()),
                         [](const auto& vector) { return test::test_name(vector.param); });

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

// Whatever the bytes and the vnet header: no reading or writing outside (the sanitizers watch), no more growth
// than 20 bytes and a Fragment Header, headers that agree with the size, and whoever was not spoken to stays out of it.
void expect_sane(const test::Scene& scene, const Outcome& outcome, std::size_t input_size) {
  if (outcome.verdict != Verdict::translated) return;
  ASSERT_EQ(outcome.packets.size(), 1U);
  const auto& [bytes, vnet] = outcome.packets[0];
  const bool fragment = bytes.at(0) >> 4 == 6 && bytes.at(6) == 44;
  ASSERT_LE(bytes.size(), input_size + 20 + (fragment ? 8 : 0));
  const auto clat = scene.clat();
  if (bytes.at(0) >> 4 == 6) {
    ASSERT_GE(bytes.size(), 40U);
    EXPECT_EQ(bytes.size(), 40U + (bytes[4] << 8 | bytes[5]));
    EXPECT_TRUE(std::equal(clat.v6.bytes.begin(), clat.v6.bytes.end(), bytes.begin() + 8));
  } else {
    ASSERT_GE(bytes.size(), 20U);
    EXPECT_EQ(bytes[0], 0x45);
    EXPECT_EQ(bytes.size(), static_cast<std::size_t>(bytes[2] << 8 | bytes[3]));
    EXPECT_TRUE(std::equal(clat.v4.bytes.begin(), clat.v4.bytes.end(), bytes.begin() + 16));
    EXPECT_EQ(test::checksum_fault(bytes, true), "");
  }
  if ((vnet.flags & VnetHeader::kNeedsChecksum) != 0) {
    EXPECT_LE(vnet.checksum_start + vnet.checksum_offset + 2U, bytes.size());
  }
  if (vnet.gso_type == VnetHeader::kGsoUdp) {
    EXPECT_NE(vnet.flags & VnetHeader::kNeedsChecksum, 0) << "no kernel takes it";
  }
}

TEST_P(XlatProperty, MutatedVectorsDoNoHarm) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
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
      translated += outcome.packets.size();
      expect_sane(scene, outcome, bytes.size());
    }
  }
  EXPECT_GT(translated, 100U);  // else the mutations test nothing
}

TEST_P(XlatProperty, RandomBytesDoNoHarm) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(below(120));
    for (auto& b : bytes) b = byte();
    if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(below(2) == 0 ? 0x45 : 0x60);
    expect_sane(scene, run(translator, bytes), bytes.size());
  }
}

// Whatever the length field and the checksum say: only with an unfinished one may it go on.
TEST_P(XlatProperty, UdpSuperPacketsDoNoHarm) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
  for (int i = 0; i < 2'000; ++i) {
    const bool six = below(2) == 0, unfinished = below(2) == 0;
    const auto sum = unfinished ? test::Sum::partial : below(2) == 0 ? test::Sum::none : test::Sum::right;
    const auto udp = test::udp(test::counting(below(3000)), sum, {}, static_cast<std::uint16_t>(random_()));
    const auto bytes = six ? test::packet(test::in6(scene), udp) : test::packet(test::out4(scene), udp);
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
    expect_sane(scene, outcome, bytes.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, XlatProperty, testing::ValuesIn(test::scenes()), [](const auto& scene) {
  auto text = scene.param.name;
  std::erase(text, '/');
  return "prefix_" + text;
});

TEST(Mapping, AgreesWithThePlainOne) {
  std::mt19937 random(5);
  for (const auto& scene : test::scenes()) {
    const auto prefix = scene.clat().prefix;
    const Mapping mapping(prefix);
    for (int i = 0; i < 10'000; ++i) {
      const auto address = Ipv4Address::from_number(static_cast<std::uint32_t>(random()));
      const auto embedded = prefix.embed(address);
      EXPECT_EQ(mapping.embed(address.number()), load_halves(embedded.bytes.data()));
      auto stray = embedded;
      stray.bytes[random() % 16] ^= static_cast<std::uint8_t>(1 << random() % 8);
      const auto halves = load_halves(stray.bytes.data());
      ASSERT_EQ(mapping.contains(halves), prefix.contains(stray));
      if (mapping.contains(halves)) {
        ASSERT_EQ(mapping.extract(halves), prefix.extract(stray)->number());
      }
    }
  }
}

// RFC 7915 §5.1: packets that may be fragmented later must not share an Identification.
TEST(Identification, DiffersFromPacketToPacketAndLeavesRoomForSegments) {
  const auto& scene = test::neutral();
  auto translator = make(scene.clat());
  const auto id = [&](const Bytes& input, const VnetHeader& vnet) {
    const auto outcome = run(translator, input, vnet);
    const auto& bytes = outcome.packets.at(0).bytes;
    return bytes[4] << 8 | bytes[5];
  };
  const auto small = test::packet(test::in6(scene), test::udp(test::counting(8)));
  const auto super = test::packet(test::in6(scene), test::tcp(test::counting(2500), test::Sum::partial));
  const int first = id(small, {});
  EXPECT_EQ(id(small, {}), first + 1);
  EXPECT_EQ(id(super, {1, 4, 0, 1000, 40, 16}), first + 2);
  EXPECT_EQ(id(small, {}), first + 5) << "three segments take three numbers";
}

TEST(Verdicts, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kVerdictCount; ++i) {
    const auto text = name(static_cast<Verdict>(i));
    EXPECT_TRUE(names.insert(text).second) << text;
    EXPECT_NE(text, "unknown");
    EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string_view::npos) << text;
  }
}

}  // namespace
}  // namespace clat::xlat
