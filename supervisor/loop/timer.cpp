#include "supervisor/loop/timer.hpp"

#include <uv.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace clat::loop {

struct Timer::State {
  uv_timer_t timer{};
  std::function<void()> due;
};

Timer::Timer(Loop& loop, std::function<void()> due) : state_(new State{.due = std::move(due)}) {
  uv_timer_init(loop.raw(), &state_->timer);
  state_->timer.data = state_;
}

Timer::~Timer() {
  uv_close(reinterpret_cast<uv_handle_t*>(&state_->timer),
           [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

void Timer::start(std::chrono::milliseconds wait) {
  uv_update_time(state_->timer.loop);
  uv_timer_start(
      &state_->timer, [](uv_timer_t* timer) { static_cast<State*>(timer->data)->due(); },
      static_cast<std::uint64_t>(std::max(wait, std::chrono::milliseconds(1)).count()), 0);
}

void Timer::stop() { uv_timer_stop(&state_->timer); }

}  // namespace clat::loop
