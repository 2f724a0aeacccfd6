#include "supervisor/plan/hooks.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

namespace clat::plan {

using namespace model;

void Hooks::configure(const std::vector<std::string>& up, const std::vector<std::string>& down) {
  if (on_up != up) on_up = up;
  if (on_down != down) on_down = down;
  skip_where_there_is_none();
}

void Hooks::see(HookState now) {
  if (state != now) {
    state = std::move(now);
    overtaken = busy();
  }
  skip_where_there_is_none();
}

std::optional<HookCall> Hooks::due() const {
  if (busy() || !state) return std::nullopt;
  HookCall call{state->up ? on_up : on_down, *state};
  return call == told ? std::nullopt : std::optional(std::move(call));
}

void Hooks::skip_where_there_is_none() {
  auto call = due();
  if (!call || !call->argv.empty()) return;
  told = std::move(call);
  failure.reset();
}

bool Hooks::have_work(TimePoint now) const {
  if (phase == Phase::killed && stopping && until <= now) return false;
  return busy() || due();
}

void Hooks::begin(const HookCall& call, TimePoint now) {
  told = call;
  phase = Phase::starting;
  started = now;
  until = now + (stopping ? kHookPatienceAtStop : kHookPatience);
  overtaken = false;
  patience.reset();
  last_line.clear();
}

void Hooks::signalled(TimePoint now) {
  phase = phase == Phase::running ? Phase::ending : Phase::killed;
  if (!patience) patience = std::chrono::duration_cast<milliseconds>(now - started);
  until = now + (stopping ? kHookGraceAtStop : kHookGrace);
}

void Hooks::stop(TimePoint now) {
  stopping = true;
  if (busy()) until = std::min(until, now + kHookPatienceBeforeStop);
}

std::optional<TimePoint> Hooks::deadline() const {
  switch (phase) {
    case Phase::idle: return state || !any() ? std::nullopt : std::optional(since + kFirstDown);
    case Phase::starting: return std::nullopt;
    case Phase::killed: return stopping ? std::optional(until) : std::nullopt;
    case Phase::running:
    case Phase::ending: return until;
  }
  return std::nullopt;
}

int Hooks::next_signal() const {
  switch (phase) {
    case Phase::running: return SIGTERM;
    case Phase::ending: return SIGKILL;
    case Phase::idle:
    case Phase::starting:
    case Phase::killed: return 0;
  }
  return 0;
}

std::optional<HookFailure> Hooks::end(Ending how, bool refused) {
  phase = Phase::idle;
  pid = 0;
  failure.reset();
  if (how != Ending(Exited{}) || patience) {
    failure = HookFailure{.path = told->argv.front(),
                          .up = told->state.up,
                          .refused = refused,
                          .end = std::move(how),
                          .patience = patience,
                          .line = std::move(last_line)};
    // What it should have been told was not, and it has been something else since.
    if (overtaken) told.reset();
  }
  auto result = failure;
  skip_where_there_is_none();
  return result;
}

}  // namespace clat::plan
