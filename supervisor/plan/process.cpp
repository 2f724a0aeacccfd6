#include "supervisor/plan/process.hpp"

#include <utility>

namespace clat::plan {

using model::Condemned;

Process Process::start(int pid, TimePoint now, bool has_control) {
  Process process{.phase = Phase::starting, .pid = pid, .started = now, .has_control = has_control};
  process.until = now + kReadyTimeout;
  // Nothing tells when one without a control socket reads packets.
  if (!has_control) process.get_ready();
  return process;
}

void Process::go_on() {
  phase = ready ? Phase::running : Phase::starting;
  until = started + kReadyTimeout;
}

void Process::get_ready() {
  ready = true;
  if (phase == Phase::starting) go_on();
  heard();
}

void Process::heard() {
  if ((phase == Phase::asked || phase == Phase::last_look) && mute.empty()) go_on();
}

void Process::expect_answer(TimePoint now) {
  if (phase != Phase::running) return;
  phase = Phase::asked;
  until = now + kAnswerTimeout;
}

void Process::fall_silent(const std::string& reason, TimePoint now) {
  mute = reason;
  switch (phase) {
    case Phase::starting:
    case Phase::running:
    case Phase::asked:
      phase = Phase::asked;
      until = now;
      return;
    case Phase::none:
    case Phase::last_look:
    case Phase::condemned:
    case Phase::stopping:
    case Phase::killed: return;
  }
}

bool Process::condemn(Condemned why) {
  switch (phase) {
    case Phase::starting:
    case Phase::running:
    case Phase::asked:
    case Phase::last_look:
      phase = Phase::condemned;
      condemned = std::move(why);
      return true;
    case Phase::none:
    case Phase::condemned:
    case Phase::stopping:
    case Phase::killed: return false;
  }
  return false;
}

bool Process::expire(TimePoint now) {
  if (const auto at = deadline(); !at || *at > now) return false;
  switch (phase) {
    case Phase::starting:
    case Phase::asked:
      phase = Phase::last_look;
      until = now + kLastLook;
      return false;
    case Phase::last_look:
      if (!mute.empty()) return condemn({Condemned::By::mute, mute});
      if (!ready) return condemn({Condemned::By::never_ready, {}, kReadyTimeout});
      return condemn({has_control ? Condemned::By::no_answer : Condemned::By::full_queue, {}, kAnswerTimeout});
    case Phase::none:
    case Phase::running:
    case Phase::condemned:
    case Phase::stopping:
    case Phase::killed: return false;
  }
  return false;
}

void Process::stop(TimePoint now, std::chrono::milliseconds patience) {
  phase = Phase::stopping;
  until = now + patience;
}

std::optional<TimePoint> Process::deadline() const {
  switch (phase) {
    case Phase::starting:
    case Phase::asked:
    case Phase::last_look:
    case Phase::stopping: return until;
    case Phase::none:
    case Phase::running:
    case Phase::condemned:
    case Phase::killed: return std::nullopt;
  }
  return std::nullopt;
}

std::optional<TimePoint> Process::counts_from(bool missed) const {
  if (pid == 0 || !ready || condemned) return std::nullopt;
  return missed && !has_control ? started + kSteadyRun : started;
}

}  // namespace clat::plan
