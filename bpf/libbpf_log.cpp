#include "bpf/libbpf_log.hpp"

#include <bpf/libbpf.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <deque>
#include <mutex>

namespace clat::bpf {

namespace {

constexpr std::size_t kLines = 6;
constexpr std::size_t kLineLength = 200;

struct Log {
  std::mutex mutex;
  std::deque<std::string> lines;

  void add(std::string line) {
    if (line.empty()) return;
    if (line.size() > kLineLength) line.resize(kLineLength);
    lines.push_back(std::move(line));
    if (lines.size() > kLines) lines.pop_front();
  }
};

Log& log() {
  static Log log;
  return log;
}

// One message may hold many lines, like the verifier's log, of which the end says why.
int keep(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (size <= 0) return 0;
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  std::vsnprintf(text.data(), text.size(), format, arguments);
  text.pop_back();

  const std::lock_guard lock(log().mutex);
  for (std::size_t from = 0; from < text.size();) {
    const auto end = std::min(text.find('\n', from), text.size());
    log().add(text.substr(from, end - from));
    from = end + 1;
  }
  return 0;
}

}  // namespace

void capture_libbpf_log() { libbpf_set_print(keep); }

void clear_libbpf_log() {
  const std::lock_guard lock(log().mutex);
  log().lines.clear();
}

std::unexpected<Error> libbpf_failure(std::string what, int code) {
  const std::lock_guard lock(log().mutex);
  std::string said;
  for (const auto& line : log().lines) said += (said.empty() ? "" : "; ") + line;
  log().lines.clear();
  if (!said.empty()) what += " (" + said + ")";
  return failure(std::move(what), code);
}

}  // namespace clat::bpf
