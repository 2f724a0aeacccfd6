#include "core/clatd/output.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace clat::clatd {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void complain(std::string_view what, int code) {
  std::array<char, 256> line;
  const int size = std::snprintf(line.data(), line.size(), "clatd: %.*s%s%s\n", static_cast<int>(what.size()),
                                 what.data(), code == 0 ? "" : ": ", code == 0 ? "" : std::strerror(code));
  if (size > 0) write_all(STDERR_FILENO, {line.data(), std::min(line.size() - 1, static_cast<std::size_t>(size))});
}

bool mention(std::string_view what) {
  // A pipe that is writable takes PIPE_BUF bytes, and a line is shorter.
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) return false;
  complain(what);
  return true;
}

}  // namespace clat::clatd
