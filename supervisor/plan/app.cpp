#include "supervisor/plan/app.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

namespace clat::plan {

void App::handle(std::vector<Event> events) {
  const bool behind = !queue_.empty();
  const bool ticks = std::ranges::any_of(events, [](const auto& each) { return std::holds_alternative<Tick>(each); });
  std::ranges::move(events, std::back_inserter(queue_));
  if (busy_ || done_ || (behind && !ticks)) return;
  busy_ = true;
  bool in_time = true;
  do {
    const Scope scope = drain();
    auto next = plan(world_, clock_(), scope);
    wake_at_ = next.wake_at;
    if (scope.all) wakes_.clear();
    for (const auto& uplink : scope.uplinks) wakes_.erase(uplink);
    wakes_.merge(next.wakes);
    in_time = execute(next.actions);
  } while (!queue_.empty() && !done_ && in_time);
  busy_ = false;
}

std::optional<TimePoint> App::wake_at() const {
  if (!queue_.empty()) return clock_();
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
  const auto events = std::exchange(queue_, {});
  for (const auto& notice : apply(world_, events, now, scope)) tell_(notice);
  return scope;
}

bool App::execute(const std::vector<Action>& actions) {
  const auto end = clock_() + kSlice;
  bool in_time = true;
  for (const auto& action : actions) {
    if (std::holds_alternative<Exit>(action)) {
      done_ = true;
      return true;
    }
    const auto now = clock_();
    in_time = now < end;
    if (in_time) {
      begin(world_, action, now);
      if (auto result = edge_.execute(action)) queue_.push_back(std::move(*result));
    } else {
      put_off(action, now);
    }
  }
  return in_time;
}

// It is planned again, if it is still wanted then.
void App::put_off(const Action& action, TimePoint now) {
  std::visit(
      [&](const auto& each) {
        if constexpr (requires { each.uplink; })
          wakes_[each.uplink] = now;
        else
          wake_at_ = now;
      },
      action);
}

}  // namespace clat::plan
