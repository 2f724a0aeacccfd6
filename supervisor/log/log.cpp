#include "supervisor/log/log.hpp"

#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/token_bucket.hpp"
#include "supervisor/log/catalogue.hpp"
#include "supervisor/log/format.hpp"
#include "supervisor/log/outlet.hpp"

namespace clat::log {
namespace {

spdlog::level::level_enum level_of(Severity severity) {
  switch (severity) {
    case Severity::debug: return spdlog::level::debug;
    case Severity::info: return spdlog::level::info;
    case Severity::warn: return spdlog::level::warn;
    case Severity::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::level::level_enum level_of(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::debug: return spdlog::level::debug;
    case config::LogLevel::info: return spdlog::level::info;
    case config::LogLevel::warn: return spdlog::level::warn;
    case config::LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

Severity severity_of(spdlog::level::level_enum level) {
  if (level <= spdlog::level::debug) return Severity::debug;
  if (level == spdlog::level::info) return Severity::info;
  return level == spdlog::level::warn ? Severity::warn : Severity::error;
}

// spdlog's own sinks wait for their reader.
class OutletSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit OutletSink(std::unique_ptr<Outlet> outlet) : outlet_(std::move(outlet)) {}

  Outlet& outlet() { return *outlet_; }
  void replace(std::unique_ptr<Outlet> outlet) { outlet_ = std::move(outlet); }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  void forget_refused() { refused_ = 0; }
  void count_refused() { ++refused_; }
  // For the lines to come: whether one that is refused is held rather than lost.
  void hold(bool worth_it) { worth_holding_ = worth_it; }
  // False: some are held still.
  bool bring_out_held() {
    while (!held_.empty() && outlet_->write(held_.front().line, held_.front().severity)) held_.pop_front();
    return held_.empty();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string_view line(message.payload.data(), message.payload.size());
    const auto severity = severity_of(message.level);
    // Not ahead of what the outlet is owed.
    if (held_.empty() && refused_ == 0 && outlet_->write(line, severity)) return;
    if (worth_holding_ && held_.size() < kMostHeld)
      held_.push_back({std::string(line), severity});
    else
      ++refused_;
  }
  void flush_() override { outlet_->flush(); }

 private:
  static constexpr std::size_t kMostHeld = 256;
  struct Held {
    std::string line;
    Severity severity;
  };

  std::unique_ptr<Outlet> outlet_;
  std::deque<Held> held_;
  bool worth_holding_ = false;
  std::uint64_t refused_ = 0;
};

}  // namespace

struct Log::State {
  // What one event has left.
  struct Kind {
    TokenBucket lines{kLinesPerSecond, std::chrono::seconds(1), kBurst};
    TokenBucket held{1, std::chrono::seconds(10), 64};
  };

  explicit State(int fd) : stderr_fd(fd), sink(std::make_shared<OutletSink>(stream_outlet(fd))), logger("", sink) {
    logger.set_error_handler([](const std::string&) {});  // the default one prints to stderr
  }

  Result<std::unique_ptr<Outlet>> open(const std::string& target) const {
    if (target == "stderr") return stream_outlet(stderr_fd);
    if (target == "syslog") return syslog_outlet();
    return file_outlet(target);
  }

  void put(const Entry& entry, spdlog::level::level_enum level) {
    const auto now = std::chrono::system_clock::now();
    const std::string line = format_line(config.format, now, entry);
    logger.log(now, {}, level, spdlog::string_view_t(line.data(), line.size()));
  }

  // What an outlet that refused lines is owed comes first: those that were held, and the number of the others. True
  // when there is no debt (any more).
  bool settle() {
    if (!sink->bring_out_held()) return false;
    if (sink->refused() == 0) return true;
    if (!say_dropped(sink->refused(), "the reader did not read, or the disk was full")) return false;
    sink->forget_refused();
    return true;
  }

  // Of one event; the others are not hidden by it.
  bool in_excess(Kind& kind) {
    if (kind.lines.take(steady_now())) return false;
    ++excess;
    return true;
  }

  // At most every second, or the reports would be what there is too much of.
  void report_excess() {
    if (excess == 0 || !excess_reports.take(steady_now())) return;
    if (say_dropped(excess, "too many of one event")) excess = 0;
  }

  // Past the level filter: it is about lines that had passed it.
  bool say_dropped(std::uint64_t lines, const char* reason) {
    const Entry entry{Severity::warn, events::kLogDropped, "", {{"lines", lines}, {"reason", reason}}};
    const std::string line = format_line(config.format, std::chrono::system_clock::now(), entry);
    return sink->outlet().write(line, entry.severity);
  }

  static std::uint64_t steady_now() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }

  int stderr_fd;
  config::Log config;
  std::shared_ptr<OutletSink> sink;
  spdlog::logger logger;
  std::map<std::string_view, Kind> kinds;  // by event: names of the catalogue, so there are not many
  std::uint64_t excess = 0;
  TokenBucket excess_reports{1, std::chrono::seconds(1), 1};
};

Log::Log(int stderr_fd) : state_(std::make_unique<State>(stderr_fd)) {}
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;
Log::~Log() = default;

Result<> Log::configure(const config::Log& wanted) {
  if (wanted.target == state_->config.target) {
    if (auto opened = reopen(); !opened) return opened;
  } else {
    auto outlet = state_->open(wanted.target);
    if (!outlet) return std::unexpected(std::move(outlet).error());
    if (!state_->sink->outlet().flush()) state_->sink->count_refused();
    state_->sink->replace(std::move(*outlet));
  }
  state_->config = wanted;
  state_->logger.set_level(level_of(wanted.level));
  return {};
}

Result<> Log::reopen() { return state_->sink->outlet().reopen(); }

bool Log::enabled(Severity severity) const { return state_->logger.should_log(level_of(severity)); }

void Log::write(const Entry& entry) {
  if (!enabled(entry.severity)) return;
  auto& kind = state_->kinds[entry.event];
  if (state_->in_excess(kind)) return;
  const bool worth_holding = kind.held.take(State::steady_now());
  if (!state_->settle() && !worth_holding) {
    state_->sink->count_refused();
    return;
  }
  state_->sink->hold(worth_holding);
  state_->put(entry, level_of(entry.severity));
}

void Log::flush() {
  state_->logger.flush();
  if (state_->settle()) state_->report_excess();
}

}  // namespace clat::log
