// The hooks of one CLAT: which one is to be run, and what becomes of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/model/actions.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/model/hook.hpp"

namespace clat::plan {

using model::TimePoint;

// A hook that runs for so long gets SIGTERM,
constexpr std::chrono::seconds kHookPatience{30};
// and after that SIGKILL.
constexpr std::chrono::seconds kHookGrace{2};
// A CLAT that has not come up by then is told as down. Sooner it may be about to come up, or to be taken over.
constexpr std::chrono::seconds kFirstDown{10};
// At a stop: what runs already, and what is still to be run. With the grace of each, that is 10 s in all.
constexpr std::chrono::seconds kHookPatienceBeforeStop{3}, kHookPatienceAtStop{5}, kHookGraceAtStop{1};

// Level-triggered: what counts is whether the state now is the one that was told last, whatever lies between them. One
// hook runs at a time. A state for which no hook is configured is told as soon as no hook runs.
//
//             | idle     | starting | running       | ending        | killed
// state, argv | starting |          |               |               |
// started     |          | running  |               |               |
// not started |          | idle     |               |               |
// time is up  |          |          | ending (TERM) | killed (KILL) | at a stop: given up
// stop        |          |          | less time     |               |
// exited      |          |          | idle          | idle          | idle
struct Hooks {
  enum class Phase : std::uint8_t { idle, starting, running, ending, killed };

  std::vector<std::string> on_up, on_down;  // as the config said last
  TimePoint since{};                        // of the CLAT
  std::optional<model::HookState> state;    // none: it is not known yet
  std::optional<model::HookCall> told;      // last; while a hook runs, what that one is told
  Phase phase = Phase::idle;
  int pid = 0;  // 0: none runs
  TimePoint started{};
  TimePoint until{};
  bool overtaken = false;                       // the state has changed since the hook was started
  std::optional<model::milliseconds> patience;  // its time was up after so long
  bool stopping = false;
  std::string last_line;                      // of its output
  std::optional<model::HookFailure> failure;  // of the last that was run

  [[nodiscard]] bool any() const { return !on_up.empty() || !on_down.empty(); }
  [[nodiscard]] bool busy() const { return phase != Phase::idle; }
  [[nodiscard]] bool is_first_down(TimePoint now) const { return !state && since + kFirstDown <= now; }

  void configure(const std::vector<std::string>& up, const std::vector<std::string>& down);
  // Nothing is configured: what is one day is told anew.
  void forget() {
    state.reset();
    told.reset();
    failure.reset();
  }
  void see(model::HookState now);
  // Whether a hook is to be run, or was and has not ended. At a stop, none that was killed in vain.
  [[nodiscard]] bool have_work(TimePoint now) const;

  // The next action. Else `wake` is called with the time at which there may be one.
  template <class Wake>
  std::optional<model::Action> next(const std::string& uplink, TimePoint now, Wake wake) const {
    if (const auto at = deadline()) {
      if (*at > now)
        wake(*at);
      else if (const int signal = next_signal(); signal != 0)
        return model::SignalHook{uplink, pid, signal};
    }
    if (const auto call = due()) return model::RunHook{uplink, *call};
    return std::nullopt;
  }

  void begin(const model::HookCall& call, TimePoint now);
  void signalled(TimePoint now);
  void stop(TimePoint now);
  void run(int child) {
    phase = Phase::running;
    pid = child;
  }
  // It has ended. Returns how it failed.
  std::optional<model::HookFailure> end(model::Ending how, bool refused = false);

 private:
  [[nodiscard]] std::optional<model::HookCall> due() const;
  [[nodiscard]] std::optional<TimePoint> deadline() const;
  [[nodiscard]] int next_signal() const;
  void skip_where_there_is_none();
};

}  // namespace clat::plan
