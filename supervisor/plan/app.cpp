#include "supervisor/plan/app.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace clat::plan {

void App::handle(std::vector<Event> events) {
  std::ranges::move(events, std::back_inserter(queue_));
  if (busy_ || done_) return;
  busy_ = true;
  do {
    const Scope scope = drain();
    auto next = plan(world_, clock_(), scope);
    wake_at_ = next.wake_at;
    if (scope.all) wakes_.clear();
    for (const auto& uplink : scope.uplinks) wakes_.erase(uplink);
    wakes_.merge(next.wakes);
    execute(next.actions);
  } while (!queue_.empty() && !done_);
  busy_ = false;
}

std::optional<TimePoint> App::wake_at() const {
  auto first = wake_at_;
  for (const auto& [uplink, at] : wakes_) first = std::min(first.value_or(at), at);
  return first;
}

// What there was to look at is looked at: CLATs of events, and those whose time has come.
Scope App::drain() {
  Scope scope;
  const auto now = clock_();
  for (const auto& [uplink, at] : wakes_) {
    if (at <= now) scope.uplinks.insert(uplink);
  }
  // Events that a note's sink raises are not lost.
  const auto events = std::exchange(queue_, {});
  for (const auto& note : apply(world_, events, now, scope)) log_(note);
  return scope;
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
