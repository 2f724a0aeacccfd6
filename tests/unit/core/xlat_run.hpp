// The translator on one packet, as a caller would run it.
#pragma once

#include <algorithm>
#include <vector>

#include "core/xlat/translator.hpp"
#include "tests/support/vectors.hpp"

namespace clat::xlat {

struct Packet {
  test::Bytes bytes;
  VnetHeader vnet;
  bool operator==(const Packet&) const = default;
};

// Copies what comes out, and dirties the headroom that a sink may use.
class Collector final : public Sink {
 public:
  explicit Collector(bool allow) : allow_(allow) {}
  void send(const Frame& frame) override {
    packets.push_back({test::Bytes(frame.data, frame.data + frame.size), frame.vnet});
    std::fill_n(frame.data - sizeof(VnetHeader), sizeof(VnetHeader), std::uint8_t{0xdb});
  }
  bool may_answer() override {
    ++asked;
    return allow_;
  }
  std::vector<Packet> packets;
  int asked = 0;

 private:
  bool allow_;
};

struct Outcome {
  Verdict verdict;
  std::vector<Packet> packets;
  int asked;  // how often the sink was asked for leave to answer
};

// The packet at the very end of a heap block, so that a sanitizer sees the first byte read too far.
inline Outcome run(Translator& translator, const test::Bytes& input, const VnetHeader& vnet = {},
                   bool may_answer = true) {
  std::vector<std::uint8_t> block(kHeadroom + input.size(), 0xa5);
  std::ranges::copy(input, block.begin() + kHeadroom);
  Collector collector(may_answer);
  const auto verdict = translator.translate({block.data() + kHeadroom, input.size(), vnet}, collector);
  return {verdict, std::move(collector.packets), collector.asked};
}

inline Translator make(const test::Clat& clat) { return Translator(clat.settings(0x4711)); }

}  // namespace clat::xlat
