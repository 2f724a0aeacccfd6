// Any bytes, any vnet header, any of the vectors' settings: the translator must stay inside its buffer and make packets
// that make sense, and so must the segments of each. Input: the settings' number, ten bytes of vnet header, the packet.
#include <cstdio>
#include <cstdlib>
#include <cstring>

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
  constexpr std::size_t kPreamble = 1 + sizeof(xlat::VnetHeader);
  if (size <= kPreamble) return 0;
  const auto& clat = test::all_settings()[data[0] % test::all_settings().size()];
  xlat::VnetHeader vnet;
  std::memcpy(&vnet, data + 1, sizeof vnet);
  const test::Bytes packet(data + kPreamble, data + size);
  (void)xlat::Description(packet);
  check_segments({packet, vnet});
  auto translator = xlat::make(clat);
  const auto outcome = xlat::run(translator, packet, vnet, clat.may_answer);
  require(xlat::fault(clat, outcome, packet));
  for (const auto& sent : outcome.packets) check_segments(sent);
  return 0;
}
