// The log: entries in, lines out. No thread, no timer, no waiting.
#pragma once

#include <cstdint>
#include <memory>

#include "config/config.hpp"
#include "core/base/error.hpp"
#include "supervisor/log/entry.hpp"

namespace clat::log {

// A reader that does not read costs lines, never time: they are counted, and `log.dropped` says how many, ahead of the
// next line that gets through. So does an event that comes without end. Lines of events that come seldom are held for
// the reader, so that a flood of others does not hide them. The process must ignore SIGPIPE.
class Log {
 public:
  // Lines of one event: so many at once, and in the long run.
  static constexpr std::uint32_t kBurst = 10'000;
  static constexpr std::uint32_t kLinesPerSecond = 200;

  // Until configured: level info, logfmt, to `stderr_fd`, which is also what the target "stderr" means later.
  explicit Log(int stderr_fd = 2);
  Log(Log&&) noexcept;
  Log& operator=(Log&&) noexcept;
  ~Log();

  // All of it or, on an error, nothing. A file of the same name is opened again.
  Result<> configure(const config::Log& wanted);
  // Opens a log file again after it was moved away. On an error the old one stays in use.
  Result<> reopen();

  [[nodiscard]] bool enabled(Severity severity) const;
  void write(const Entry& entry);
  // Tries to bring out what a stuck reader held back, the count included. For an idle moment and before the end.
  void flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace clat::log
