#include "supervisor/log/outlet.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>

#include "core/base/fd.hpp"

namespace clat::log {
namespace {

// How to write without waiting. `polled` is for a pipe that may not be opened again: one that polls writable takes
// PIPE_BUF bytes at once (pipe(7)), unless another writer is faster.
enum class Manner { plain, polled, socket };

struct Target {
  Fd own;
  int fd = -1;  // own, or somebody else's who keeps it open
  Manner manner = Manner::plain;
};

Target target_of(Fd own, Manner manner) {
  const int fd = own.get();
  return {std::move(own), fd, manner};
}

// Without descriptors or memory to spare there still is a log.
Target own_description(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return {Fd(), fd, Manner::polled};
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    Fd own(::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (own) return target_of(std::move(own), Manner::plain);
  }
  // A regular file is not opened again: its offset is shared with whoever else writes there.
  const Manner manner = S_ISSOCK(status.st_mode)  ? Manner::socket
                        : S_ISREG(status.st_mode) ? Manner::plain
                                                  : Manner::polled;
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  return copy ? target_of(std::move(copy), manner) : Target{Fd(), fd, manner};
}

class StreamOutlet final : public Outlet {
 public:
  StreamOutlet(Target target, std::string path) : target_(std::move(target)), path_(std::move(path)) {}
  ~StreamOutlet() override { flush(); }

  bool write(std::string_view line, Severity) override {
    if (!flush()) return false;
    line_ = line;
    line_ += '\n';
    flush();
    if (!line_.empty() && written_ == 0) {
      line_.clear();
      return false;
    }
    return true;
  }

  bool flush() override {
    while (written_ < line_.size()) {
      const ssize_t written = put(std::string_view(line_).substr(written_));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      written_ += static_cast<std::size_t>(written);
    }
    line_.clear();
    written_ = 0;
    return true;
  }

  Result<> reopen() override;

 private:
  [[nodiscard]] ssize_t put(std::string_view text) const {
    switch (target_.manner) {
      case Manner::plain: return ::write(target_.fd, text.data(), text.size());
      case Manner::socket: return ::send(target_.fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      case Manner::polled: {
        pollfd ready{target_.fd, POLLOUT, 0};
        if (::poll(&ready, 1, 0) != 1) return 0;
        return ::write(target_.fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
      }
    }
    return 0;
  }

  Target target_;
  std::string path_;         // empty: not ours to open again
  std::string line_;         // that could not be written whole yet
  std::size_t written_ = 0;  // of it
};

Result<Target> open_file(const std::string& path) {
  // O_NONBLOCK: the path may name a FIFO.
  Fd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640));
  if (fd.get() < 0) return failure("open log file " + path, errno);
  return target_of(std::move(fd), Manner::plain);
}

Result<> StreamOutlet::reopen() {
  if (path_.empty()) return {};
  auto target = open_file(path_);
  if (!target) return std::unexpected(target.error());
  flush();
  written_ = 0;  // what the full disk cut short begins the new file, whole
  target_ = std::move(*target);
  return {};
}

class SyslogOutlet : public Outlet {
 public:
  explicit SyslogOutlet(std::string path) : path_(std::move(path)) {}

  bool write(std::string_view line, Severity severity) override {
    const std::string message = header(severity) + std::string(line);
    if (socket_.get() >= 0 && send(message)) return true;
    // A restarted syslogd has a new socket at the old path; a full one (EAGAIN) is not helped by connecting again.
    if (socket_.get() >= 0 && errno == EAGAIN) return false;
    return connect() && send(message);
  }
  bool flush() override { return true; }
  Result<> reopen() override {
    socket_ = Fd();
    return {};
  }

 private:
  bool connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) return false;
    path_.copy(address.sun_path, path_.size());
    Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    socket_ = std::move(fd);
    return true;
  }

  [[nodiscard]] bool send(const std::string& message) const {
    return ::send(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  }

  // RFC 3164 §4.1 without the host name, in local time: what syslog(3) sends and every syslogd reads.
  static std::string header(Severity severity) {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    std::array<char, 32> date{};
    std::strftime(date.data(), date.size(), "%b %e %H:%M:%S", &local);
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "<%d>%s clatvisor[%d]: ", LOG_DAEMON | priority(severity), date.data(),
                  static_cast<int>(::getpid()));
    return text.data();
  }

  static int priority(Severity severity) {
    switch (severity) {
      case Severity::debug: return LOG_DEBUG;
      case Severity::info: return LOG_INFO;
      case Severity::warn: return LOG_WARNING;
      case Severity::error: return LOG_ERR;
    }
    return LOG_ERR;
  }

  std::string path_;
  Fd socket_;
};

}  // namespace

std::unique_ptr<Outlet> stream_outlet(int fd) { return std::make_unique<StreamOutlet>(own_description(fd), ""); }

Result<std::unique_ptr<Outlet>> file_outlet(const std::string& path) {
  auto target = open_file(path);
  if (!target) return std::unexpected(target.error());
  return std::make_unique<StreamOutlet>(std::move(*target), path);
}

std::unique_ptr<Outlet> syslog_outlet(std::string socket_path) {
  return std::make_unique<SyslogOutlet>(std::move(socket_path));
}

}  // namespace clat::log
