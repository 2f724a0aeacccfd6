// Random packets that come far: rows of the conformance table with some bytes changed, and packets of random headers.
#pragma once

#include <random>

#include "tests/bpf/packet_io.hpp"
#include "tests/support/vectors.hpp"

namespace clat::test {

class RandomPackets {
 public:
  RandomPackets(Direction direction, unsigned seed);

  // A row of the table; what follows is made of it, for its configuration.
  const Vector& next_base();
  Bytes next();
  // For the packet that is next. That of the row, or none.
  xlat::VnetHeader next_vnet();

 private:
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  Bytes from_scratch();
  void change(Bytes& packet);
  void mend(Bytes& packet);

  std::mt19937 random_;
  std::vector<const Vector*> rows_;
  const Vector* base_ = nullptr;
};

// Why a packet that the translator translates may go to clatd all the same; empty: it may not.
std::string reason_to_punt(const Packet& packet);

}  // namespace clat::test
