#include "supervisor/loop/signals.hpp"

#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "core/fd/fd.hpp"

namespace clat::loop {
namespace {

constexpr std::array kOurs{SIGTERM, SIGINT, SIGUSR2, SIGUSR1, SIGHUP};  // the stop first

sigset_t ours() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kOurs) sigaddset(&set, signal);
  return set;
}

}  // namespace

struct Signals::State {
  // Each of ours once at most: that is all that can be pending. The kernel hands out the lowest number first, and a
  // storm of SIGHUP would hide SIGTERM behind it for as long as it lasts: so read them all, and keep our own order.
  void read() const {
    std::array<signalfd_siginfo, kOurs.size()> pending{};
    const ssize_t size = ::read(fd.get(), pending.data(), sizeof pending);
    if (size < 0) return;
    const auto came = std::span(pending).first(static_cast<std::size_t>(size) / sizeof pending[0]);
    for (const int signal : kOurs) {
      const auto number = static_cast<std::uint32_t>(signal);
      if (std::ranges::find(came, number, &signalfd_siginfo::ssi_signo) != came.end()) sink(signal);
    }
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
  auto watch = loop.watch(state->fd.get(), [self = state.get()](Wake) { self->read(); });
  if (!watch) return std::unexpected(std::move(watch).error().in("watch signalfd"));
  state->watch = std::move(*watch);
  return Signals(std::move(state));
}

Signals::Signals(std::unique_ptr<State> state) : state_(std::move(state)) {}
Signals::Signals(Signals&&) noexcept = default;
Signals& Signals::operator=(Signals&&) noexcept = default;
Signals::~Signals() = default;

}  // namespace clat::loop
