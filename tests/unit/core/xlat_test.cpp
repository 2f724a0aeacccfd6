// core/xlat against the table of vectors, and properties over random packets.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

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
  std::vector<Packet> packets;
};

// The packet at the very end of a heap block, so that a sanitizer sees the first byte read too far.
struct Outcome {
  Verdict verdict;
  std::vector<Packet> packets;
};
Outcome run(Translator& translator, const Bytes& input, const VnetHeader& vnet = {}) {
  std::vector<std::uint8_t> block(kHeadroom + input.size(), 0xa5);
  std::ranges::copy(input, block.begin() + kHeadroom);
  Collector collector;
  const auto verdict = translator.translate({block.data() + kHeadroom, input.size(), vnet}, collector);
  return {verdict, std::move(collector.packets)};
}
Translator make(const test::Clat& clat) { return Translator({clat.v4, clat.v6, clat.prefix, 0x4711}); }

class XlatVector : public testing::TestWithParam<Vector> {};

TEST_P(XlatVector, IsMet) {
  const auto& vector = GetParam();
  auto translator = make(vector.clat);
  const auto outcome = run(translator, vector.input, vector.vnet);
  EXPECT_EQ(name(outcome.verdict), name(vector.verdict));
  ASSERT_EQ(outcome.packets.size(), vector.expected.empty() ? 0U : 1U);
  if (vector.expected.empty()) return;
  EXPECT_EQ(test::mismatch(vector, outcome.packets[0].bytes), "");
  EXPECT_EQ(outcome.packets[0].vnet, vector.expected_vnet);
}

INSTANTIATE_TEST_SUITE_P(Table, XlatVector, testing::ValuesIn(test::vectors()),
                         [](const auto& vector) { return test::test_name(vector.param); });

}  // namespace
}  // namespace clat::xlat
