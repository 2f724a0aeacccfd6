// RFC 7915 translation between the CLAT's own addresses and the rest of the IPv4 Internet behind a NAT64.
// Bytes in, bytes and a verdict out: no I/O, no clock, no globals, no allocation.
#pragma once

#include <cstdint>
#include <span>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"
#include "core/xlat/echo_fragments.hpp"
#include "core/xlat/frame.hpp"
#include "core/xlat/mapping.hpp"
#include "core/xlat/mtus.hpp"
#include "core/xlat/verdict.hpp"

namespace clat::xlat {

struct Settings {
  Ipv4Address v4;  // the CLAT's own addresses
  Ipv6Address v6;
  Nat64Prefix prefix;
  std::uint16_t first_identification = 0;  // of IPv4 packets made here; a random one hides restarts
  Mtus mtus = {};
  std::span<const RangeMapping> ranges = {};  // copied; at most kMostRanges, the first that fits counts
  bool allow_private_ipv4 = false;  // let non-global IPv4 addresses through the Well-Known Prefix (RFC 6052 §3.1)
};

class Translator {
 public:
  explicit Translator(const Settings& settings);

  // Translates in place; the packet's version says in which direction. Before it returns, it hands the sink nothing,
  // one packet, or several in order, all for the same tun. The verdict is about `frame`; fragments held earlier may
  // come out with it. Super-packets stay super-packets, and unfinished checksums stay unfinished (VnetHeader).
  Verdict translate(Frame frame, Sink& sink);

  void set_mtus(const Mtus& mtus) { mtus_ = mtus.sane(); }

 private:
  // A packet that is not translated may be answered. It is then unchanged, less any trailing bytes. `message_size`: of
  // the whole ICMP message, where the packet is a fragment of one; 0: not known.
  Verdict translate(Frame& packet, std::size_t message_size, Sink& sink);
  Verdict to_ipv6(Frame& packet, std::size_t message_size, Sink& sink);
  Verdict to_ipv4(Frame& packet, std::size_t message_size, Sink& sink);
  Verdict translate_icmp_fragment(Frame& packet, Sink& sink);
  void answer(Verdict verdict, const Frame& frame, Sink& sink);

  Sides sides_;
  std::uint16_t identification_;
  Mtus mtus_;
  EchoFragments echoes_;
};

}  // namespace clat::xlat
