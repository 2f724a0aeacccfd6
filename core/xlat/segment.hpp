// Super-packets to the packets that they stand for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/xlat/offload.hpp"

namespace clat::xlat {

// Cuts a TCP or UDP super-packet of either family, in place. Any other packet comes out as one. All have their
// checksums finished and ask for no offload.
class Segments {
 public:
  explicit Segments(const Frame& frame);

  // Whether the vnet header fits the packet; else there are no segments.
  [[nodiscard]] bool fit() const { return count_ != 0; }
  [[nodiscard]] std::size_t count() const { return count_; }
  // The next one, in order; false: that was the last. It lies over those before it.
  bool next(Frame& segment);

 private:
  void write_headers(const Frame& segment, bool last);

  Frame frame_;
  std::size_t header_ = 0, headers_ = 0;  // the IP header; with the transport's
  std::uint8_t protocol_ = 0;
  std::size_t count_ = 0, given_ = 0;
  std::array<std::uint8_t, 256> copy_;  // of the headers: the second segment is written over them
};

}  // namespace clat::xlat
