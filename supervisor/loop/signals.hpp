// Signals to the supervisor itself, from a signalfd: libuv's own signal pipe overflows in a storm and loses them.
#pragma once

#include <functional>
#include <memory>

#include "core/base/error.hpp"
#include "supervisor/loop/loop.hpp"

namespace clat::loop {

class Signals {
 public:
  // Blocks SIGHUP, SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 and ignores SIGPIPE, for good. First thing in main: what comes
  // before create() waits for it. Children start with nothing blocked or ignored, libuv sees to that.
  static void block();

  // Blocks as well, and until its end SIGCHLD, which it hands on to libuv. One signal number a call; of those that are
  // pending together the stop comes first and SIGHUP last. The sink does not end this object.
  static Result<Signals> create(Loop& loop, std::function<void(int)> sink);
  Signals(Signals&&) noexcept;
  Signals& operator=(Signals&&) noexcept;
  ~Signals();

 private:
  struct State;
  explicit Signals(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace clat::loop
