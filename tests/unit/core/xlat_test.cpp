// core/xlat against the table of vectors, and its parts.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>

#include "core/xlat/describe.hpp"
#include "core/xlat/token_bucket.hpp"
#include "tests/support/vector_parts.hpp"
#include "xlat_run.hpp"

namespace clat::xlat {
namespace {

using test::Bytes;
using test::Vector;

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
