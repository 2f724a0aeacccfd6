// The table itself: does it say what it means to say?
#include "tests/support/vectors.hpp"

#include <gtest/gtest.h>

#include <set>

#include "core/net/clat_address.hpp"
#include "tests/support/vector_parts.hpp"

namespace clat::test {
namespace {

TEST(Vectors, HaveUniqueNames) {
  std::set<std::string> names;
  for (const auto& vector : vectors()) EXPECT_TRUE(names.insert(test_name(vector)).second) << test_name(vector);
  EXPECT_GT(names.size(), 100U);
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
  }
}

TEST(Vectors, ExpectRightChecksumsWhereTheyDoNotSayWrong) {
  for (const auto& vector : vectors()) {
    const bool partial = (vector.vnet.flags & xlat::VnetHeader::kNeedsChecksum) != 0;
    const bool wrong = vector.id == "D5" || vector.id == "D4";
    for (const auto& expected : vector.expected) {
      const auto fault = checksum_fault(expected, partial);
      EXPECT_EQ(!fault.empty(), vector.id == "D5") << test_name(vector) << ": " << fault;
    }
    if (!wrong && vector.is_translated()) {
      EXPECT_EQ(checksum_fault(Bytes(vector.input), partial), "") << test_name(vector);
    }
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
