// Packets on their way in and out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/xlat/vnet.hpp"

namespace clat::xlat {

// A packet in somebody's buffer, from its IP header on.
struct Frame {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  VnetHeader vnet = {};
};

// Writable bytes that the caller of translate() leaves in front of the packet. In front of each packet that comes out
// at least sizeof(VnetHeader) of them are left, for its vnet header.
constexpr std::size_t kHeadroom = 64;

// Where packets come out. The frame is the sink's until send() returns, the headroom in front included.
class Sink {
 public:
  virtual void send(const Frame& frame) = 0;
  // Asked before an ICMP error of the translator's own is made, which then comes by send(). The sink has
  // the clock and so keeps the rate (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8).
  virtual bool may_answer() = 0;

 protected:
  ~Sink() = default;
};

}  // namespace clat::xlat
