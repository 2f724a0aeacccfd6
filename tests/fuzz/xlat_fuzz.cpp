// Any bytes, any vnet header, any of the vectors' settings: the translator must stay inside its buffers and make
// packets that make sense, and so must the segments of each. One translator gets all packets of an input, and may hold
// some. What it makes is the same when super-packets were made of it and cut again.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "../unit/core/coalescing.hpp"
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

// Without the UDP checksums, which what lies in a vnet header may make right.
std::vector<test::Bytes> comparable(std::vector<test::Bytes> wire) {
  for (auto& packet : wire) {
    const bool six = packet[0] >> 4 == 6;
    const std::size_t header = six ? 40 : 20;
    if (packet[six ? 6 : 9] != 17 || packet.size() < header + 8) continue;
    packet[header + 6] = packet[header + 7] = 0;
  }
  return wire;
}

void check_coalesced(const std::vector<xlat::Packet>& packets) {
  std::vector<xlat::Packet> twice;
  for (const auto& packet : packets) twice.insert(twice.end(), 2, packet);
  const auto before = comparable(xlat::on_the_wire(twice));
  require(comparable(xlat::on_the_wire(xlat::Coalescing().all(twice))) != before ? "coalesced and cut, it differs"
                                                                                 : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr int kMostPackets = 4;
  if (size == 0) return 0;
  const auto& clat = test::all_settings()[data[0] % test::all_settings().size()];
  auto translator = xlat::make(clat);
  std::span left(data + 1, size - 1);
  std::size_t held = 0;
  std::vector<xlat::Packet> all;
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
    all.insert(all.end(), outcome.packets.begin(), outcome.packets.end());
  }
  check_coalesced(all);
  return 0;
}
