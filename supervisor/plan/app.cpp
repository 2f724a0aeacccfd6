#include "supervisor/plan/app.hpp"

#include <iterator>
#include <utility>

namespace clat::plan {

void App::handle(std::vector<Event> events) {
  std::ranges::move(events, std::back_inserter(queue_));
  if (busy_ || done_) return;
  busy_ = true;
  do {
    drain();
    auto next = plan(world_, clock_());
    wake_at_ = next.wake_at;
    execute(next.actions);
  } while (!queue_.empty() && !done_);
  busy_ = false;
}

void App::drain() {
  while (!queue_.empty()) {
    const Event event = std::move(queue_.front());
    queue_.pop_front();
    for (const auto& note : apply(world_, event, clock_())) log_(note);
  }
}

void App::execute(const std::vector<Action>& actions) {
  for (const auto& action : actions) {
    if (std::holds_alternative<Exit>(action)) {
      done_ = true;
      return;
    }
    begin(world_, action, clock_());
    if (auto result = edge_.execute(action)) queue_.push_back(std::move(*result));
  }
}

}  // namespace clat::plan
