#include "supervisor/loop/loop.hpp"

#include <uv.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <utility>

namespace clat::loop {
namespace {

constexpr int kMaxClosingTurns = 1000;

}  // namespace

struct Watch::State {
  uv_poll_t poll{};
  Readable readable;
  int events = UV_READABLE;

  static void on_poll(uv_poll_t* handle, int status, int /*events*/) {
    auto* self = static_cast<State*>(handle->data);
    self->readable(status < 0 ? Wake::broken : Wake::readable);
    // libuv stops a watcher before it reports an error.
    if (status < 0 && uv_is_closing(reinterpret_cast<uv_handle_t*>(handle)) == 0) {
      uv_poll_start(handle, self->events, on_poll);
    }
  }
};

Watch& Watch::operator=(Watch&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

void Watch::end() {
  State* state = std::exchange(state_, nullptr);
  if (state == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&state->poll),
           [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

struct Loop::State {
  explicit State(Sink sink_) : sink(std::move(sink_)) {}

  void start_timer() {
    using std::chrono::milliseconds;
    uv_update_time(&loop);
    // Never at once: libuv runs what is due again in its own tick before it looks at any descriptor.
    const auto wait =
        std::max(milliseconds(1), std::chrono::ceil<milliseconds>(*due - std::chrono::steady_clock::now()));
    uv_timer_start(&timer, on_timer, static_cast<std::uint64_t>(wait.count()), 0);
  }

  static void on_timer(uv_timer_t* handle) {
    auto* self = static_cast<State*>(handle->data);
    if (!self->due) return;
    // libuv counts from a clock rounded down to milliseconds.
    if (std::chrono::steady_clock::now() < *self->due) return self->start_timer();
    self->due.reset();
    self->sink(model::Tick{});
  }

  uv_loop_t loop{};
  uv_timer_t timer{};
  std::optional<model::TimePoint> due;
  Sink sink;
};

Result<std::unique_ptr<Loop>> Loop::create(Sink sink) {
  auto state = std::make_unique<State>(std::move(sink));
  if (const int error = uv_loop_init(&state->loop); error < 0) return failure("uv_loop_init", -error);
  uv_timer_init(&state->loop, &state->timer);
  state->timer.data = state.get();
  return std::unique_ptr<Loop>(new Loop(std::move(state)));
}

Loop::Loop(std::unique_ptr<State> state) : state_(std::move(state)) {}

Loop::~Loop() {
  uv_close(reinterpret_cast<uv_handle_t*>(&state_->timer), nullptr);
  // Close callbacks run in the loop; a handle closed within one of them needs another turn.
  for (int turns = 0; uv_loop_close(&state_->loop) == UV_EBUSY; ++turns) {
    if (turns == kMaxClosingTurns) std::abort();  // something outlives the loop it uses
    uv_run(&state_->loop, UV_RUN_NOWAIT);
  }
}

void Loop::run() { uv_run(&state_->loop, UV_RUN_DEFAULT); }
void Loop::stop() { uv_stop(&state_->loop); }

void Loop::arm(model::TimePoint due) {
  state_->due = due;
  state_->start_timer();
}

void Loop::disarm() {
  state_->due.reset();
  uv_timer_stop(&state_->timer);
}

Result<Watch> Loop::watch(int fd, Readable readable, Until until) {
  auto state = std::make_unique<Watch::State>();
  state->readable = std::move(readable);
  if (until != Until::reading) state->events |= UV_WRITABLE;
  if (until == Until::room) state->events = UV_WRITABLE;
  state->poll.data = state.get();
  if (const int error = uv_poll_init(&state_->loop, &state->poll, fd); error < 0)
    return failure("uv_poll_init", -error);
  Watch watch(state.release());
  if (const int error = uv_poll_start(&watch.state_->poll, watch.state_->events, Watch::State::on_poll); error < 0) {
    return failure("uv_poll_start", -error);
  }
  return watch;
}

uv_loop_s* Loop::raw() { return &state_->loop; }

}  // namespace clat::loop
