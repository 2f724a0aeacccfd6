// Fragments of echoes that wait for others. ICMPv6 sums the length of the whole message, which ICMPv4 does not (RFC
// 7915 §1.2): only the last fragment tells it, and the checksum is in the first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/xlat/frame.hpp"
#include "core/xlat/ip_header.hpp"
#include "core/xlat/mapping.hpp"

namespace clat::xlat {

// There is no clock. An entry goes when it is taken, or when a newer one needs its place. A sender of lone fragments
// can make others lose echoes, and nothing worse. If an Identification comes again while an entry of an older datagram
// with the same one is kept, the two are mixed; the checksum is then wrong, and the receiver drops the packet.
class EchoFragments {
 public:
  static constexpr std::size_t kMost = 8;                      // datagrams of which the first fragment waits
  static constexpr std::size_t kMostBytes = 2048 - kHeadroom;  // of such a packet

  // The fields that all fragments of one datagram share, as they came.
  struct Datagram {
    Halves source, destination;  // of IPv4 in the low 32 bits
    std::uint32_t id = 0;
    bool is_ipv4 = false;
    bool operator==(const Datagram&) const = default;
  };
  static Datagram datagram_of(const std::uint8_t* ip, const Layout& layout);

  // A copy of the packet, without its vnet header: of a fragment it asks for nothing. False: it is too large.
  bool hold(const Datagram& datagram, const Frame& first);
  // How long the message is whose first fragment is still to come, in bytes.
  void remember(const Datagram& datagram, std::size_t message_size);

  // Each returns an entry and forgets it. A packet returned stays valid until the next one is held.
  std::optional<Frame> take_first(const Datagram& datagram);
  std::optional<std::size_t> take_message_size(const Datagram& datagram);

 private:
  template <class Value>
  class Slots {
   public:
    // The slot that the datagram has, else a free one, else the oldest.
    Value& claim(const Datagram& datagram);
    Value* take(const Datagram& datagram);  // nullptr: there is none

   private:
    struct Slot {
      std::uint64_t turn = 0;  // counts up; 0: free
      Datagram datagram;
      Value value;
    };
    Slot* find(const Datagram& datagram);

    std::array<Slot, kMost> slots_;
    std::uint64_t turns_ = 0;
  };
  struct Packet {
    std::size_t size;
    std::array<std::uint8_t, kHeadroom + kMostBytes> bytes;
  };

  Slots<Packet> firsts_;
  Slots<std::size_t> message_sizes_;
};

}  // namespace clat::xlat
