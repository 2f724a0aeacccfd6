#include "supervisor/loop/signals.hpp"

#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "core/fd/fd.hpp"

namespace clat::loop {
namespace {

sigset_t ours() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

}  // namespace

struct Signals::State {
  void read_one() const {
    // One a wake: the sink may end this object, and in a storm the other descriptors get their turn.
    signalfd_siginfo info{};
    if (::read(fd.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
    sink(static_cast<int>(info.ssi_signo));
  }

  std::function<void(int)> sink;
  Fd fd;
  Watch watch;
};

void Signals::block() {
  const sigset_t set = ours();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

Result<Signals> Signals::create(Loop& loop, std::function<void(int)> sink) {
  block();
  auto state = std::make_unique<State>();
  state->sink = std::move(sink);
  const sigset_t set = ours();
  state->fd = Fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!state->fd) return failure("signalfd", errno);
  auto watch = loop.watch(state->fd.get(), [self = state.get()](Wake) { self->read_one(); });
  if (!watch) return std::unexpected(std::move(watch).error().in("watch signalfd"));
  state->watch = std::move(*watch);
  return Signals(std::move(state));
}

Signals::Signals(std::unique_ptr<State> state) : state_(std::move(state)) {}
Signals::Signals(Signals&&) noexcept = default;
Signals& Signals::operator=(Signals&&) noexcept = default;
Signals::~Signals() = default;

}  // namespace clat::loop
