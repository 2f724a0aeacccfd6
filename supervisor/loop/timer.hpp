// A timer of one's own, for what the plan does not time.
#pragma once

#include <chrono>
#include <functional>

#include "supervisor/loop/loop.hpp"

namespace clat::loop {

class Timer {
 public:
  // `due` may end the Timer. `loop` outlives it.
  Timer(Loop& loop, std::function<void()> due);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  // Calls once, after `wait` or 1 ms, whichever is longer. Replaces what was started.
  void start(std::chrono::milliseconds wait);
  void stop();

 private:
  struct State;
  State* state_;  // libuv frees it, some time after the end
};

}  // namespace clat::loop
