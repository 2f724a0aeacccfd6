// Whether the routers that packets for the NAT64 go by still answer, as the kernel finds out when it uses them. A
// socket for each uplink, whose filter lets nothing else wake us.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/model/specs.hpp"

namespace clat::sources {

class NextHopWatch {
 public:
  // `loop` outlives the watch.
  static Result<std::unique_ptr<NextHopWatch>> open(loop::Loop& loop, const model::ListenSpec& spec, loop::Sink sink);
  NextHopWatch(const NextHopWatch&) = delete;  // the loop refers to it
  NextHopWatch& operator=(const NextHopWatch&) = delete;

  // Other routers, or what is told of them. Of the same link.
  Result<> change(const model::ListenSpec& spec);

 private:
  NextHopWatch(const model::ListenSpec& spec, Fd socket, loop::Sink sink)
      : spec_(spec), socket_(std::move(socket)), sink_(std::move(sink)) {}
  void read();

  model::ListenSpec spec_;
  Fd socket_;
  loop::Sink sink_;
  std::array<std::uint8_t, 1024> buffer_{};  // a neighbour takes about 100 bytes
  loop::Watch watch_;                        // after the descriptor it watches
};

}  // namespace clat::sources
