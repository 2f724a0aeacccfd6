// A coalescer, and what its packets are when they are cut again.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "core/xlat/coalesce.hpp"
#include "core/xlat/segment.hpp"
#include "xlat_run.hpp"

namespace clat::xlat {

class Coalescing {
 public:
  // Each from a buffer that is gone afterwards.
  void send(const Packet& packet) {
    test::Bytes block(kHeadroom + packet.bytes.size());
    std::ranges::copy(packet.bytes, block.begin() + kHeadroom);
    coalescer_.send({block.data() + kHeadroom, packet.bytes.size(), packet.vnet});
  }
  std::vector<Packet> all(const std::vector<Packet>& packets) {
    for (const auto& packet : packets) send(packet);
    coalescer_.flush();
    return std::exchange(out_.packets, {});
  }
  Coalescer& operator*() { return coalescer_; }
  [[nodiscard]] const std::vector<Packet>& out() const { return out_.packets; }

 private:
  Collector out_{true};
  Coalescer coalescer_{out_};
};

// What all of them are on the wire. What fits no vnet header stays as it is.
inline std::vector<test::Bytes> on_the_wire(const std::vector<Packet>& packets) {
  std::vector<test::Bytes> wire;
  for (const auto& packet : packets) {
    test::Bytes block(packet.bytes);
    Segments segments({block.data(), block.size(), packet.vnet});
    if (!segments.fit()) wire.push_back(packet.bytes);
    for (Frame segment; segments.next(segment);) {
      wire.emplace_back(segment.data, segment.data + segment.size);
    }
  }
  return wire;
}

}  // namespace clat::xlat
