// The lab with the programs attached, and a wire at every place where a packet can go in or come out.
#pragma once

#include <optional>

#include "tests/bpf/lab.hpp"
#include "tests/bpf/packet_io.hpp"
#include "tests/bpf/programs.hpp"
#include "tests/support/vectors.hpp"

namespace clat::test {

class Hooks {
 public:
  explicit Hooks(LinkLayer layer = LinkLayer::ethernet);
  ~Hooks();
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  // Addresses, MTUs and ranges go into the map.
  void configure(const Clat& clat);
  // In front of a program: on tun egress, or come in by the uplink. What the kernel says when it refuses, else 0.
  [[nodiscard]] int inject(Direction direction, const Packet& packet) const;
  // Sends a packet that is translated for sure, and gives what came out translated before it did.
  std::vector<Packet> translated(Direction direction);
  [[nodiscard]] std::vector<Packet> punted() const;
  [[nodiscard]] std::vector<Packet> passed() const;  // from the uplink to the stack

  [[nodiscard]] int uplink() const { return attachment_.uplink_ifindex; }
  [[nodiscard]] Fd uplink_program() const;
  [[nodiscard]] bpf::Counters counters();

 private:
  void lead_to_peer();
  void lead_to_modem();
  [[nodiscard]] std::optional<Packet> receive(Direction direction) const;

  BpfFolder folder_;
  Lab lab_;
  bpf::Attachment attachment_ = lab_.attachment();
  std::optional<BothParts> fast_path_;
  std::optional<Wire> peer_in_, peer_out_, tun_in_, tun_out_, uplink_in_;
  Fd modem_;  // the far end of an uplink without Ethernet, in place of the peer
  unsigned markers_ = 0;
};

}  // namespace clat::test
