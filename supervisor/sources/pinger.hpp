// One echo request through a CLAT, and what comes of it. While none is under way, nothing is open.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/loop/timer.hpp"
#include "supervisor/model/actions.hpp"
#include "supervisor/model/events.hpp"

namespace clat::sources {

class Pinger {
 public:
  using Done = std::function<void(model::PingEnded)>;
  // It was sent; `done` is called in a later turn of the loop, once, and may end the Pinger. `loop` outlives it.
  static Result<std::unique_ptr<Pinger>> start(loop::Loop& loop, const model::Ping& ping, Done done);
  Pinger(const Pinger&) = delete;  // the loop refers to it
  Pinger& operator=(const Pinger&) = delete;

 private:
  Pinger(loop::Loop& loop, const model::Ping& ping, Done done)
      : ping_(ping), done_(std::move(done)), timer_(loop, [this] { end(failure("no answer")); }) {}
  Result<> open();
  Result<> send();
  void read();
  void end(Result<> result);

  model::Ping ping_;
  Done done_;
  Fd socket_;
  std::array<std::uint8_t, 128> buffer_{};  // more than an answer has, so that a longer one is seen to be longer
  loop::Timer timer_;
  loop::Watch watch_;  // after the descriptor it watches
};

}  // namespace clat::sources
