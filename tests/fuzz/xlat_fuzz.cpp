// Any bytes, any vnet header, any of the prefix lengths: the translator must stay inside its buffer and make packets
// whose headers agree with their size. Input: scene, ten bytes of vnet header, the packet.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/xlat/translator.hpp"
#include "tests/support/packet.hpp"
#include "tests/support/vector_parts.hpp"

namespace {

using namespace clat;

void require(bool condition) {
  if (!condition) std::abort();
}

class Check final : public xlat::Sink {
 public:
  bool may_answer() override { return true; }
  void send(const xlat::Frame& frame) override {
    // Whoever writes it out puts the vnet header in front.
    std::memset(frame.data - sizeof(xlat::VnetHeader), 0, sizeof(xlat::VnetHeader));
    const std::uint8_t* ip = frame.data;
    require(frame.size >= 20);
    if (ip[0] >> 4 == 6) {
      require(frame.size == 40U + (ip[4] << 8 | ip[5]));
    } else {
      require(ip[0] == 0x45 && frame.size == static_cast<std::size_t>(ip[2] << 8 | ip[3]));
      require(test::checksum_fault({ip, frame.size}, true).empty());
    }
    if ((frame.vnet.flags & xlat::VnetHeader::kNeedsChecksum) != 0) {
      require(frame.vnet.checksum_start + frame.vnet.checksum_offset + 2U <= frame.size);
    } else {
      require(frame.vnet.gso_type != xlat::VnetHeader::kGsoUdp);
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kPreamble = 1 + sizeof(xlat::VnetHeader);
  if (size <= kPreamble) return 0;
  const auto clat = test::scenes()[data[0] % test::scenes().size()].clat();
  xlat::Translator translator(clat.settings());
  const std::size_t packet = size - kPreamble;
  // A block of its own for each packet: one byte too far is seen.
  const std::unique_ptr<std::uint8_t[]> block(new std::uint8_t[xlat::kHeadroom + packet]());
  xlat::Frame frame{block.get() + xlat::kHeadroom, packet};
  std::memcpy(&frame.vnet, data + 1, sizeof frame.vnet);
  std::copy_n(data + kPreamble, packet, frame.data);
  Check check;
  const auto verdict = translator.translate(frame, check);
  require(xlat::name(verdict) != "unknown");
  return 0;
}
