// One clatd from its start to its exit.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "supervisor/model/facts.hpp"
#include "supervisor/model/reason.hpp"

namespace clat::plan {

using model::TimePoint;

// A clatd that does not read packets by then is replaced,
constexpr std::chrono::seconds kReadyTimeout{10};
// and so is one that has not answered for that long. Each audit asks.
constexpr std::chrono::seconds kAnswerTimeout{5};
// After that: clatvisor itself may have been held up, and the answer, or the exit of a child whose control socket
// ended, waits to be read.
constexpr std::chrono::seconds kLastLook{1};
// Android's clatd has no word for being ready. One that was missed counts again when it has run for so long.
constexpr std::chrono::seconds kSteadyRun{1};

// What happens in which phase; where a field is empty, nothing changes. `until` is the time that moves it on.
//
//            | starting  | running   | asked     | last_look | condemned | stopping
// ready      | running   |           | running*  | running*  |           |
// heard      |           |           | running*  | running*  |           |
// asked      |           | asked     |           |           |           |
// mute       | asked     | asked     | asked     |           |           |
// time is up | last_look |           | last_look | condemned |           | (the plan sends SIGKILL)
// condemn    | condemned | condemned | condemned | condemned |           |
// stop       | stopping  | stopping  | stopping  | stopping  | stopping  |
//
// * back to starting where it never was ready, and not at all once it is mute.
struct Process {
  enum class Phase : std::uint8_t { none, starting, running, asked, last_look, condemned, stopping, killed };
  Phase phase = Phase::none;
  int pid = 0;  // 0: none
  TimePoint started{};
  TimePoint until{};
  bool has_control = true;  // Android's has not: it is alive as long as it empties its tun queue
  bool ready = false;
  std::optional<std::uint64_t> packets_read{};  // as the latest audit saw it, if it left others in the tun
  std::string mute{};                           // why nothing more can be heard of it
  std::optional<model::Condemned> condemned{};  // why it is replaced

  static Process start(int pid, TimePoint now, bool has_control);
  void get_ready();
  // It lives.
  void heard();
  // From now on the time runs, unless it does already.
  void expect_answer(TimePoint now);
  void fall_silent(const std::string& reason, TimePoint now);
  // It is to be replaced. False: it ends already, or there is none.
  bool condemn(model::Condemned why);
  // Moves on when its time is up. True: it is condemned now.
  bool expire(TimePoint now);
  // SIGTERM was sent; SIGKILL follows after `patience`.
  void stop(TimePoint now, std::chrono::milliseconds patience);

  [[nodiscard]] bool told_to_stop() const { return phase == Phase::stopping || phase == Phase::killed; }
  // When expire() has something to do, or SIGKILL is due.
  [[nodiscard]] std::optional<TimePoint> deadline() const;
  // From when on it counts as one that reads packets, if it does not end before. `missed`: the one before was.
  [[nodiscard]] std::optional<TimePoint> counts_from(bool missed) const;

 private:
  void go_on();
};

}  // namespace clat::plan
