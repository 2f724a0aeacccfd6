// Packets to the super-packets that stand for them: the reverse of segment.hpp, for UDP.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/xlat/frame.hpp"

namespace clat::xlat {

// Stands in front of another sink. Packets of one UDP flow that come one behind the other leave as one super-packet,
// which the kernel's stack walks through once; Segments cuts it into the packets that came, byte for byte. A packet
// that is not part of it is sent after it, unchanged.
//
// Cutting a super-packet computes the checksums anew, which would make a wrong one right. So a packet becomes part of
// one only if its checksum is unfinished or was verified. IPv4 header checksums are right, as the translator's are.
class Coalescer final : public Sink {
 public:
  explicit Coalescer(Sink& next) : next_(next) {}  // the buffer as it is: pages that no packet needs are never touched

  // Held back, or sent behind what is held back.
  void send(const Frame& frame) override;
  bool may_answer() override { return next_.may_answer(); }
  // Sends the packets that are held back. Call it before waiting for anything.
  void flush();

 private:
  static constexpr std::size_t kMostSegments = 64;   // UDP_MAX_SEGMENTS of older kernels
  static constexpr std::size_t kMostBytes = 0xffff;  // IPv4's limit, for both families

  // `header`: of the IP header.
  [[nodiscard]] bool continues(const Frame& frame, std::size_t header) const;
  void append(const std::uint8_t* from, std::size_t size);
  [[nodiscard]] Frame super_packet();

  Sink& next_;
  VnetHeader vnet_;           // of the first
  std::size_t header_ = 0;    // the IP header's length, equal in all
  std::size_t payload_ = 0;   // of the first, and of all but the last
  std::size_t size_ = 0;      // bytes of the super-packet so far
  std::size_t segments_ = 0;  // in it; 0: nothing is held back
  bool closed_ = false;       // by a shorter one
  alignas(64) std::array<std::uint8_t, kHeadroom + kMostBytes> buffer_;
};

}  // namespace clat::xlat
