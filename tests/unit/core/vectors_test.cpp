// The table itself: does it say what it means to say, and is it complete?
#include "tests/support/vectors.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/net/clat_address.hpp"
#include "tests/support/vector_parts.hpp"

namespace clat::test {
namespace {

TEST(Vectors, HaveUniqueNames) {
  std::set<std::string> names;
  for (const auto& vector : vectors()) EXPECT_TRUE(names.insert(test_name(vector)).second) << test_name(vector);
  EXPECT_GT(names.size(), 1000U);
}

// How many rows each letter of the checklist has, and which of them no single packet can show.
const std::map<char, int> kRows{{'A', 20}, {'B', 11}, {'C', 6},  {'D', 8}, {'E', 19}, {'F', 16}, {'G', 20},
                                {'H', 8},  {'I', 17}, {'J', 11}, {'K', 5}, {'L', 16}, {'M', 6}};
const std::map<std::string, std::string> kShownElsewhere{
    {"A20", "order within a flow: translate() ends with a packet before it sees the next"},
    {"G20", "as A20"},
    {"G6", "successive Identifications: Identification tests of core/xlat"},
    {"K3", "silence: every row here that is dropped and expects nothing"},
    {"L14", "neighbour discovery and DAD for the CLAT's address: tests/bpf, tests/netns"},
    {"L15", "the CLAT's IPv4 address on the tun only: tests/netns"},
    {"M6", "the next packet still gets through: property tests of core/xlat, one translator for all mutations"},
};

TEST(Vectors, HaveEveryRowOfTheChecklist) {
  std::set<std::string> ids;
  for (const auto& vector : vectors()) ids.insert(vector.id);
  for (const auto& [letter, count] : kRows) {
    for (int n = 1; n <= count; ++n) {
      const auto id = letter + std::to_string(n);
      EXPECT_NE(ids.contains(id), kShownElsewhere.contains(id)) << id;
      ids.erase(id);
    }
  }
  const std::set<std::string> own{"PEER-AOSP",  "PEER-NetworkManager", "PEER-TAYGA",
                                  "PEER-nat46", "PEER-tundra",         "RANGE"};
  EXPECT_EQ(ids, own) << "rows besides those of the checklist";
}

TEST(Vectors, ExpectSomethingOfWhatIsTranslated) {
  for (const auto& vector : vectors()) {
    EXPECT_FALSE(vector.is_translated() && vector.expected.empty()) << test_name(vector);
    if (vector.fast_path == FastPath::translates) {
      EXPECT_TRUE(vector.is_translated() && vector.expected.size() == 1) << test_name(vector);
    }
    if (!vector.is_translated()) {
      EXPECT_LE(vector.expected.size(), 1U) << test_name(vector) << ": one answer at most";
    }
    if (vector.expected.size() != vector.is_translated()) {
      EXPECT_EQ(vector.fast_path, FastPath::punts) << test_name(vector) << ": what programs cannot do";
    }
  }
}

TEST(Vectors, ComeOutInTheOtherFamilyUnlessTheyAreAnswered) {
  for (const auto& vector : vectors()) {
    for (const auto& expected : vector.expected) {
      const bool six = expected.at(0) >> 4 == 6;
      EXPECT_EQ(six, (vector.direction == Direction::to_ipv6) == vector.is_translated()) << test_name(vector);
      // RFC 8200 §5, RFC 1812 §4.3.2.3: answers fit wherever they go.
      EXPECT_LE(vector.is_translated() ? 0 : expected.size(), six ? 1280U : 576U) << test_name(vector);
    }
  }
}

bool is_ipv6_fragment(const Bytes& bytes) { return bytes.at(0) >> 4 == 6 && bytes.at(6) == 44; }

TEST(Vectors, HaveRightChecksumsWhereTheyDoNotSayWrong) {
  for (const auto& vector : vectors()) {
    const bool wrong = vector.id == "D5";
    for (const auto& expected : vector.expected) {
      const bool partial = (vector.expected_vnet.flags & xlat::VnetHeader::kNeedsChecksum) != 0;
      const auto fault = checksum_fault(expected, partial);
      EXPECT_EQ(!fault.empty(), wrong && !is_ipv6_fragment(expected)) << test_name(vector) << ": " << fault;
    }
    if (!vector.is_translated() || vector.id == "D4") continue;
    const bool partial = (vector.vnet.flags & xlat::VnetHeader::kNeedsChecksum) != 0;
    const auto fault = checksum_fault(vector.input, partial);
    EXPECT_EQ(!fault.empty(), wrong) << test_name(vector) << ": " << fault;
  }
}

TEST(Vectors, NeutralSceneIsNeutralAndTheOthersAreNot) {
  for (const auto& scene : scenes()) {
    const auto clat = scene.clat();
    const bool neutral_for_peer = [&] {
      const auto four = packet(out4(scene), udp(counting(8)));
      const auto six = packet(out6(scene), udp(counting(8)));
      return four[26] == six[46] && four[27] == six[47];
    }();
    EXPECT_EQ(neutral_for_peer, scene.name == "neutral") << scene.name;
    if (scene.name == "neutral") {
      EXPECT_EQ(checksum_delta(clat.v6, clat.v4, clat.prefix), 0);
    }
  }
}

}  // namespace
}  // namespace clat::test
