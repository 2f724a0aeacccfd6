// A child's output as lines, and how many of them the log shall see. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/token_bucket.hpp"
#include "supervisor/model/facts.hpp"

namespace clat::loop {

// Cuts a stream into lines, without their newline and a carriage return before it. Empty lines are left out.
class LineSplitter {
 public:
  static constexpr std::size_t kMaxLine = 512;  // bytes; the rest of a longer line is dropped
  static constexpr std::string_view kCut = "...";

  template <class Visit>  // void(std::string)
  void feed(std::string_view bytes, Visit&& visit) {
    while (!bytes.empty()) {
      const std::size_t end = std::min(bytes.find('\n'), bytes.size());
      take(bytes.substr(0, end));
      if (end == bytes.size()) return;
      bytes.remove_prefix(end + 1);
      finish(visit);
    }
  }

  // The stream is at its end: what is left is a line, too.
  template <class Visit>
  void finish(Visit&& visit) {
    std::string line = std::exchange(line_, {});
    if (std::exchange(cut_, false)) {
      line.resize(kMaxLine - kCut.size());
      line += kCut;
    } else if (line.ends_with('\r')) {
      line.pop_back();
    }
    if (!line.empty()) visit(std::move(line));
  }

 private:
  void take(std::string_view part) {
    const std::size_t room = kMaxLine - line_.size();
    line_ += part.substr(0, room);
    cut_ = cut_ || part.size() > room;
  }

  std::string line_;
  bool cut_ = false;
};

// What of a child's output is shown. The last line is always worth it: a child that dies says why there.
class OutputThrottle {
 public:
  static constexpr std::uint32_t kBurst = 20;
  static constexpr std::uint32_t kLinesPerSecond = 5;

  struct Shown {
    std::string line;
    std::uint64_t suppressed = 0;  // lines before it
    bool operator==(const Shown&) const = default;
  };

  std::optional<Shown> offer(std::string line, model::TimePoint now) {
    if (limit_.take(static_cast<std::uint64_t>(now.time_since_epoch().count()))) {
      held_.reset();
      return Shown{std::move(line), std::exchange(suppressed_, 0)};
    }
    held_ = std::move(line);
    ++suppressed_;
    return std::nullopt;
  }

  // The child is gone: its last line, unless that was shown.
  std::optional<Shown> last() {
    if (!held_) return std::nullopt;
    return Shown{*std::exchange(held_, std::nullopt), std::exchange(suppressed_, 0) - 1};
  }

 private:
  TokenBucket limit_{kLinesPerSecond, std::chrono::seconds(1), kBurst};
  std::uint64_t suppressed_ = 0;
  std::optional<std::string> held_;  // the latest suppressed line
};

}  // namespace clat::loop
