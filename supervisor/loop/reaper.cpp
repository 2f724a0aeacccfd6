#include "supervisor/loop/reaper.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <csignal>
#include <utility>

namespace clat::loop {

struct StrangerReaper::State {
  // Zombies collected in one go, so that a fork bomb's cannot stall the loop.
  static constexpr int kBatch = 256;

  void reap() const {
    for (int i = 0; i < kBatch; ++i) {
      siginfo_t info{};
      if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
      if (ours(info.si_pid)) break;
      ::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
    }
    // One of ours hides the zombies behind it until libuv has collected it. Both handlers shall look again: libuv
    // has by then, at the latest in the turn after.
    ::kill(::getpid(), SIGCHLD);
  }

  uv_signal_t watcher{};
  std::function<bool(int)> ours;
};

bool StrangerReaper::needed() {
  int subreaper = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
  return ::getpid() == 1 || subreaper != 0;
}

Result<StrangerReaper> StrangerReaper::create(Loop& loop, std::function<bool(int pid)> ours) {
  auto state = std::make_unique<State>();
  state->ours = std::move(ours);
  state->watcher.data = state.get();
  if (const int error = uv_signal_init(loop.raw(), &state->watcher); error < 0) {
    return failure("uv_signal_init", -error);
  }
  // From here on libuv holds the handle, and only its close callback may free it.
  StrangerReaper reaper(state.release());
  const int error = uv_signal_start(
      &reaper.state_->watcher, [](uv_signal_t* handle, int) { static_cast<const State*>(handle->data)->reap(); },
      SIGCHLD);
  if (error < 0) return failure("watch SIGCHLD", -error);
  uv_unref(reinterpret_cast<uv_handle_t*>(&reaper.state_->watcher));
  reaper.state_->reap();  // who died before
  return reaper;
}

StrangerReaper& StrangerReaper::operator=(StrangerReaper&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

StrangerReaper::~StrangerReaper() {
  if (state_ == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&state_->watcher),
           [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

}  // namespace clat::loop
