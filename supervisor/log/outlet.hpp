// Where lines go. An outlet never waits: what it cannot take at once is refused, and the caller counts.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "supervisor/log/entry.hpp"

namespace clat::log {

class Outlet {
 public:
  Outlet() = default;
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;
  virtual ~Outlet() = default;

  // `line` comes without its newline. False: refused whole. A line that was taken in part is finished later.
  virtual bool write(std::string_view line, Severity severity) = 0;
  // True when nothing of a line is left half written.
  virtual bool flush() = 0;
  // Begins anew at the same target, so that a rotated file can go. On an error the old one stays in use.
  virtual Result<> reopen() = 0;
};

// A descriptor of somebody else's: a pipe to a log collector, a terminal, systemd's journal socket, a file. Its flags
// are on a file description shared with other processes and stay as they are. The caller keeps `fd` open.
std::unique_ptr<Outlet> stream_outlet(int fd);

// Appends; created with mode 0640. A FIFO without a reader is an error (ENXIO).
Result<std::unique_ptr<Outlet>> file_outlet(const std::string& path);

// Datagrams as syslog(3) sends them, facility daemon. A missing syslogd is no error: each line looks for it again.
std::unique_ptr<Outlet> syslog_outlet(std::string socket_path = "/dev/log");

}  // namespace clat::log
