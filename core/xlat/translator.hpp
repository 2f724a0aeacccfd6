// RFC 7915 translation between the CLAT's own addresses and the rest of the IPv4 Internet behind a NAT64.
// Bytes in, bytes and a verdict out: no I/O, no clock, no globals, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "core/xlat/mapping.hpp"
#include "core/xlat/verdict.hpp"
#include "core/xlat/vnet.hpp"

namespace clat::xlat {

// A packet in somebody's buffer, from its IP header on.
struct Frame {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  VnetHeader vnet = {};
};

// Writable bytes that must lie in front of what goes into translate(). Of them, at least sizeof(VnetHeader) are left
// in front of whatever comes out, so that its vnet header can be written there.
constexpr std::size_t kHeadroom = 64;

// Where packets come out. The frame is the sink's until send() returns, the headroom in front included.
class Sink {
 public:
  virtual void send(const Frame& frame) = 0;

 protected:
  ~Sink() = default;
};

struct Settings {
  Ipv4Address v4;  // the CLAT's own addresses
  Ipv6Address v6;
  Nat64Prefix prefix;
  std::uint16_t first_identification = 0;  // of IPv4 packets made here; a random one hides restarts
};

class Translator {
 public:
  explicit Translator(const Settings& settings);

  // Translates in place, IPv4 to IPv6 or back by the packet's version. Nothing, one packet, or several in order, go
  // to the sink before it returns; all are the sink's to write to the same tun. The verdict speaks of the packet
  // given. Super-packets and unfinished checksums (VnetHeader) stay so.
  Verdict translate(Frame frame, Sink& sink);

 private:
  Verdict to_ipv6(Frame& frame);
  Verdict to_ipv4(Frame& frame);

  Mapping mapping_;
  std::uint32_t v4_;  // host order
  Halves v6_;
  Sum v4_sum_, v6_sum_;  // one's complement sums of the CLAT's own addresses
  std::uint16_t identification_;
};

}  // namespace clat::xlat
