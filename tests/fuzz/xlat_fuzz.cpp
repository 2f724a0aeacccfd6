// Any bytes, any vnet header, any of the vectors' settings: the translator must stay inside its buffers and make
// packets that make sense, and so must the segments of each. One translator gets all packets of an input, and may hold
// some.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "../unit/core/xlat_sanity.hpp"
#include "core/xlat/describe.hpp"
#include "core/xlat/segment.hpp"
#include "xlat_settings.hpp"

namespace {

using namespace clat;

void require(const std::string& fault) {
  if (fault.empty()) return;
  std::fprintf(stderr, "%s\n", fault.c_str());
  std::abort();
}

// No larger than the whole, whose headers each repeats, and finished.
void check_segments(xlat::Packet packet) {
  const std::size_t size = packet.bytes.size();
  xlat::Segments segments({packet.bytes.data(), size, packet.vnet});
  for (xlat::Frame segment; segments.next(segment);) {
    require(segment.size > size ? "a segment larger than the whole" : "");
    require(segment.vnet != xlat::VnetHeader{} ? "an unfinished segment" : "");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr int kMostPackets = 4;
  if (size == 0) return 0;
  const auto& clat = test::all_settings()[data[0] % test::all_settings().size()];
  auto translator = xlat::make(clat);
  std::span left(data + 1, size - 1);
  std::size_t held = 0;
  for (int n = 0; n < kMostPackets && left.size() > sizeof(test::Preamble); ++n) {
    test::Preamble preamble;
    std::memcpy(&preamble, left.data(), sizeof preamble);
    left = left.subspan(sizeof preamble);
    const auto bytes = left.first(std::min<std::size_t>(preamble.size, left.size()));
    left = left.subspan(bytes.size());
    const test::Bytes packet(bytes.begin(), bytes.end());
    (void)xlat::Description(packet);
    check_segments({packet, preamble.vnet});
    const auto outcome = xlat::run(translator, packet, preamble.vnet, clat.may_answer);
    require(xlat::fault(clat, outcome, packet, held));
    if (outcome.verdict == xlat::Verdict::held) held = std::max(held, packet.size());
    for (const auto& sent : outcome.packets) check_segments(sent);
  }
  return 0;
}
