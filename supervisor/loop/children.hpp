// The clatd processes: from Launch to model::ChildExited.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/clatd/control.hpp"
#include "supervisor/loop/loop.hpp"

namespace clat::loop {

struct Launch {
  std::string uplink;
  std::string path;               // absolute
  std::vector<std::string> argv;  // argv[0] "clatd-<uplink>"
  // Stay the caller's; the child gets copies as fd 3 and up, the control socket, if any, being 4 among them.
  std::vector<int> fds;
  bool control = true;
  std::vector<std::string> environment = {};
  bool own_group = false;  // signals go to all that it has started, too
};

// Events: ChildReady, ChildAnswered, ChildMute, ChildOutput and, as the last of a child, ChildExited. An uplink may
// have several children for a while, an old one that is stopping and its successor. The sinks may call back into
// this object.
class Children {
 public:
  // What the uplink's newest child was asked for, and its pid; the counters began with that child. Null: the child
  // cannot send it any more.
  using ReportSink = std::function<void(const std::string& uplink, int pid, const control::Report* report)>;
  Children(Loop& loop, Sink sink, ReportSink reports);
  Children(Children&&) noexcept;
  Children& operator=(Children&&) noexcept;
  // Kills what still runs (SIGKILL), without a word: a child that outlives us would hold the tun.
  ~Children();

  // The child has fds 0 (/dev/null), 1 and 2 (a pipe whose lines become ChildOutput), those of the Launch and no
  // others, the environment of the Launch and no more, no signal blocked or ignored. Answers the pid; that exec failed
  // is an error.
  Result<int> spawn(const Launch& launch);

  // ESRCH when there is no such child, or no more: never another process that got its pid.
  Result<> signal(const std::string& uplink, int pid, int signal);

  // Asks the uplink's newest child. ESRCH without one.
  Result<> request_report(const std::string& uplink);
  // Tells that child the MTUs of its uplink, bytes; it answers. ESRCH when there is no such child.
  Result<> tell_mtus(const std::string& uplink, int pid, std::uint32_t mtu, std::uint32_t lowest_ipv6_mtu);

  // For the audit: finds children that are gone though nobody told. The events come in a later turn of the loop.
  void reconcile();

  // Whether libuv waits for this pid.
  [[nodiscard]] bool owns(int pid) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace clat::loop
