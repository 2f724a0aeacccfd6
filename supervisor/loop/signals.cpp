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

#include "core/base/fd.hpp"

namespace clat::loop {
namespace {

constexpr std::array kOurs{SIGTERM, SIGINT, SIGUSR2, SIGUSR1, SIGHUP};  // the stop first

sigset_t ours() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kOurs) sigaddset(&set, signal);
  return set;
}

sigset_t of_children() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return set;
}

}  // namespace

struct Signals::State {
  State() {
    const sigset_t children = of_children();
    ::sigprocmask(SIG_BLOCK, &children, nullptr);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    const sigset_t children = of_children();
    ::sigprocmask(SIG_UNBLOCK, &children, nullptr);
  }

  // Each of them once at most: that is all that can be pending. The kernel hands out the lowest number first, and a
  // storm of SIGHUP would hide SIGTERM behind it for as long as it lasts: so read them all, and keep our own order.
  void read() const {
    std::array<signalfd_siginfo, kOurs.size() + 1> pending{};
    const ssize_t size = ::read(fd.get(), pending.data(), sizeof pending);
    if (size < 0) return;
    const auto read = std::span(pending).first(static_cast<std::size_t>(size) / sizeof pending[0]);
    const auto came = [&](int signal) {
      const auto number = static_cast<std::uint32_t>(signal);
      return std::ranges::find(read, number, &signalfd_siginfo::ssi_signo) != read.end();
    };
    if (came(SIGCHLD)) tell_libuv_of_children();
    for (const int signal : kOurs) {
      if (came(signal)) sink(signal);
    }
  }

  // Its handler fills a pipe, and it empties that pipe before it does anything else: in a storm of SIGCHLD, never. So
  // it gets one in each turn of the loop.
  static void tell_libuv_of_children() {
    const sigset_t children = of_children();
    ::sigprocmask(SIG_UNBLOCK, &children, nullptr);
    ::raise(SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &children, nullptr);
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
  sigset_t set = ours();
  sigaddset(&set, SIGCHLD);
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
