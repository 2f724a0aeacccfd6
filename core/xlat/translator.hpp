// RFC 7915 translation between the CLAT's own addresses and the rest of the IPv4 Internet behind a NAT64.
// Bytes in, bytes and a verdict out: no I/O, no clock, no globals, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"
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
  // Asked before an ICMP error of the translator's own is made, which then comes by send(). Who owns a clock keeps the
  // rate (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8).
  virtual bool may_answer() = 0;

 protected:
  ~Sink() = default;
};

// Bytes of a whole packet, IP header included.
struct Mtus {
  std::uint32_t ipv6 = 1500;         // of the uplink's route to the NAT64 prefix
  std::uint32_t ipv4 = 65535;        // of the IPv4 side; a tun takes whatever is written to it
  std::uint32_t lowest_ipv6 = 1500;  // RFC 7915 §4.1: IPv4 packets with DF=0 become no larger packets than this
};

constexpr std::size_t kMostRanges = 8;

struct Settings {
  Ipv4Address v4;  // the CLAT's own addresses
  Ipv6Address v6;
  Nat64Prefix prefix;
  std::uint16_t first_identification = 0;  // of IPv4 packets made here; a random one hides restarts
  Mtus mtus = {};
  std::span<const RangeMapping> ranges = {};  // copied; at most kMostRanges, the first that fits counts
  bool private_in_wkp = false;  // let non-global IPv4 addresses through the Well-Known Prefix (RFC 6052 §3.1)
};

class Translator {
 public:
  explicit Translator(const Settings& settings);

  // Translates in place, IPv4 to IPv6 or back by the packet's version. Nothing, one packet, or several in order, go
  // to the sink before it returns; all are the sink's to write to the same tun. The verdict speaks of the packet
  // given. Super-packets and unfinished checksums (VnetHeader) stay so.
  Verdict translate(Frame frame, Sink& sink);

  void set_mtus(const Mtus& mtus) { mtus_ = mtus; }

 private:
  Verdict to_ipv6(Frame& frame);
  Verdict to_ipv4(Frame& frame);

  Mapping mapping_;
  std::uint32_t v4_;  // host order
  Halves v6_;
  Sum v4_sum_, v6_sum_;  // one's complement sums of the CLAT's own addresses
  std::uint16_t identification_;
  Mtus mtus_;
};

}  // namespace clat::xlat
