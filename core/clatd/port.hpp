// Where packets come in and go out. Each dialect has a port of its own, chosen once, at the start.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/clatd/stop.hpp"
#include "core/xlat/translator.hpp"

namespace clat::clatd {

// The result of one read.
struct Inbound {
  enum class State : std::uint8_t {
    packet,  // in `frame`, until the next read
    lost,    // there was one, and it is gone: `verdict` says why
    none,
    ended,  // `stop` says why
  };
  State state = State::none;
  xlat::Verdict verdict = xlat::Verdict::translated;
  Stop stop = {};
  xlat::Frame frame = {};

  static Inbound lost(xlat::Verdict verdict) { return {.state = State::lost, .verdict = verdict}; }
  static Inbound ended(Stop::Cause cause, int code) { return {.state = State::ended, .stop = {cause, code}}; }
};

// No call blocks.
class Port {
 public:
  virtual ~Port() = default;

  // Descriptors to wait for; the first is the tun.
  [[nodiscard]] virtual std::span<const int> inputs() const = 0;
  virtual Inbound read(std::size_t input) = 0;
  // Returns how many packets found no room. May change the buffer that the frame lies in.
  virtual std::size_t write(const xlat::Frame& frame) = 0;
  // Whether UDP super-packets need not be cut up before they are written.
  [[nodiscard]] virtual bool takes_udp_super_packets() const = 0;
};

// Holds one packet of any size, and in front of it the headers that its descriptor and the translator put there.
class PacketBuffer {
 public:
  PacketBuffer() {}  // as it is: pages that no packet needs are never touched

  // Aligned to 16 bytes, which speeds up sums.
  [[nodiscard]] std::uint8_t* packet() { return bytes_.data() + kPacketAt; }
  static constexpr std::size_t kFront = 16;              // in front of packet(), more than that much is free
  static constexpr std::size_t kRoom = 40 + 65535 + 21;  // an IPv6 header, its largest payload, and some excess

 private:
  static constexpr std::size_t kPacketAt = xlat::kHeadroom + kFront;
  alignas(64) std::array<std::uint8_t, kPacketAt + kRoom> bytes_;
};

// Reads from a tun that puts `header` bytes in front of each packet; the frame begins behind them, no vnet header yet.
Inbound read_tun(int fd, PacketBuffer& buffer, std::size_t header);

}  // namespace clat::clatd
