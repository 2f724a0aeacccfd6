// sd_notify(3)'s protocol, spoken to whoever started us: systemd, or another manager that gave us a NOTIFY_SOCKET.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "supervisor/loop/loop.hpp"

namespace clat::loop {

enum class Phase : std::uint8_t { starting, ready, reloading, stopping };

// Level-triggered: it is told how things are and says what of that is news. What the manager's full socket refused is
// said again with the next word. It never waits.
class Notifier {
 public:
  Notifier();  // nobody listens
  // Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that they are ours alone. EINVAL,
  // and they are taken out all the same, when they make no sense. From then on the loop's turning feeds the watchdog.
  static Result<Notifier> from_environment(Loop& loop);
  Notifier(Notifier&&) noexcept;
  Notifier& operator=(Notifier&&) noexcept;
  ~Notifier();

  // `status` is for people, in one line. `takes`: how long the phase may take where that may be more than the manager
  // allows for; 0: no matter.
  Result<> tell(Phase phase, const std::string& status, std::chrono::milliseconds takes = {});

 private:
  struct State;
  explicit Notifier(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;  // none: nobody listens
};

}  // namespace clat::loop
