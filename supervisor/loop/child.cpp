#include "supervisor/loop/child.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iterator>
#include <utility>
#include <vector>

namespace clat::loop {
namespace {

constexpr int kControlFd = 4;  // in the child
// Of output, in one turn of the loop: a child that only prints must not keep the others waiting.
constexpr std::size_t kOutputPerWake = 64 << 10;
// A pipe holds 64 KiB; more comes only from a grandchild that still writes.
constexpr std::size_t kOutputAtExit = 256 << 10;

// Every descriptor that the child's own table has is in use for as long as this lives: whatever of libuv's (the pipe by
// which it learns that exec failed) had such a number would be overwritten in the child.
class LowFds {
 public:
  // One past the table, open on /dev/null.
  Result<int> occupy(std::size_t table) {
    for (;;) {
      Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!fd) return failure("open /dev/null", errno);
      const int number = fd.get();
      fds_.push_back(std::move(fd));
      if (static_cast<std::size_t>(number) >= table) return number;
    }
  }

 private:
  std::vector<Fd> fds_;
};

}  // namespace

Result<std::unique_ptr<Child>> Child::spawn(Loop& loop, const Owner& owner, const Launch& launch) {
  std::unique_ptr<Child> child(new Child(owner, launch.uplink));
  if (auto started = child->start(loop, launch); !started) {
    return std::unexpected(std::move(started).error().in("start " + launch.path));
  }
  return child;
}

Result<> Child::start(Loop& loop, const Launch& launch) {
  // Ours are close-on-exec; what whoever started us left open should be as well. Before Linux 5.11 it stays.
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  const std::size_t size = 3 + launch.fds.size() + (launch.control ? 1 : 0);
  LowFds low;
  const auto null = low.occupy(size);
  if (!null) return std::unexpected(null.error());

  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return failure("pipe2", errno);
  output_ = Fd(pipe[0]);
  const Fd write_end(pipe[1]);
  // Watched before the child runs: afterwards nothing may fail.
  auto output_watch = loop.watch(output_.get(), [this](Wake) {
    if (!read_output(kOutputPerWake)) output_watch_.end();
  });
  if (!output_watch) return std::unexpected(std::move(output_watch).error());
  output_watch_ = std::move(*output_watch);

  mute_ = !launch.control;
  std::vector<int> table{*null, write_end.get(), write_end.get()};
  table.insert(table.end(), launch.fds.begin(), launch.fds.end());
  Fd far_end;
  if (launch.control) {
    if (auto opened = open_control(loop, far_end); !opened) return opened;
    table.insert(table.begin() + kControlFd, far_end.get());
  }
  return run(loop, launch, table);
}

Result<> Child::open_control(Loop& loop, Fd& far_end) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) != 0) {
    return failure("socketpair", errno);
  }
  control_ = ControlChannel(Fd(pair[0]));
  far_end = Fd(pair[1]);
  auto watch = loop.watch(control_.fd(), [this](Wake) { read_control(); });
  if (!watch) return std::unexpected(std::move(watch).error());
  control_watch_ = std::move(*watch);
  return {};
}

Result<> Child::run(Loop& loop, const Launch& launch, const std::vector<int>& table) {
  auto process = start_process(loop, {.path = launch.path.c_str(),
                                      .argv = launch.argv,
                                      .environment = launch.environment,
                                      .own_group = launch.own_group,
                                      .fds = table,
                                      .data = this,
                                      .on_exit = [](uv_process_t* ended, std::int64_t status, int signal) {
                                        auto* self = static_cast<Child*>(ended->data);
                                        self->owner_.exited(*self, static_cast<int>(status), signal);
                                      }});
  if (!process) return std::unexpected(std::move(process).error());
  process_ = *process;
  pid_ = process_->pid;
  own_group_ = launch.own_group;
  return {};
}

Child::~Child() {
  if (own_group_ && fate() == Fate::running) ::kill(target(), SIGKILL);
  let_go(process_);
}

void Child::drain() {
  // Its exit says more than the end of its control socket.
  if (!std::exchange(mute_, true)) read_control();
  read_output(kOutputAtExit);
  lines_.finish([this](std::string line) { say(std::move(line)); });
  show(throttle_.last());
}

bool Child::read_output(std::size_t limit) {
  std::array<char, 4096> buffer{};
  for (std::size_t total = 0; total < limit;) {
    const ssize_t size = ::read(output_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    total += static_cast<std::size_t>(size);
    lines_.feed(std::string_view(buffer.data(), static_cast<std::size_t>(size)),
                [this](std::string line) { say(std::move(line)); });
  }
  return true;
}

void Child::read_control() {
  std::string reason = "it closed its control socket";
  const bool open = control_.read({
      .ready =
          [this](const control::Report& message) { owner_.sink(model::ChildReady{uplink_, pid_, message.drained}); },
      .answer = [this](const control::Report* message) { owner_.answered(*this, message); },
      .violation =
          [&](const Error& error) {
            reason = "its control socket was closed: " + error.text();
            say("control socket closed: " + error.text());
          },
  });
  if (open) return;
  control_watch_.end();
  if (std::exchange(mute_, true)) return;
  owner_.sink(model::ChildMute{uplink_, pid_, std::move(reason)});
}

void Child::say(std::string line) { show(throttle_.offer(std::move(line), std::chrono::steady_clock::now())); }

void Child::show(std::optional<OutputThrottle::Shown> shown) {
  if (shown) owner_.sink(model::ChildOutput{uplink_, pid_, std::move(shown->line), shown->suppressed});
}

}  // namespace clat::loop
