#include "supervisor/loop/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/base/fd.hpp"
#include "core/base/numbers.hpp"

namespace clat::loop {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kLongestStatus = 256;
// A shorter watchdog would keep us busy with nothing else.
constexpr microseconds kShortestWatchdog{2000};

struct Address {
  sockaddr_un name{};
  socklen_t size = 0;
};

std::optional<std::string> take(const char* variable) {
  const char* value = std::getenv(variable);
  std::optional<std::string> taken = value == nullptr ? std::nullopt : std::optional<std::string>(value);
  ::unsetenv(variable);
  return taken;
}

Result<Address> address_of(const std::string& text) {
  Address address;
  address.name.sun_family = AF_UNIX;
  const bool abstract = text.starts_with('@');
  // A path keeps its final NUL; an abstract name has one in place of the @.
  if ((!abstract && !text.starts_with('/')) || text.size() < 2 || text.size() >= sizeof address.name.sun_path) {
    return failure("NOTIFY_SOCKET is neither a path nor an abstract socket", EINVAL);
  }
  text.copy(address.name.sun_path, text.size());
  if (abstract) address.name.sun_path[0] = '\0';
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (abstract ? 0 : 1));
  return address;
}

// None: no watchdog, or another process's.
Result<std::optional<milliseconds>> ping_interval(const std::optional<std::string>& usec,
                                                  const std::optional<std::string>& pid) {
  if (!usec) return std::nullopt;
  if (pid) {
    const auto number = parse_number<pid_t>(*pid);
    if (!number) return failure("WATCHDOG_PID is no process id", EINVAL);
    if (*number != ::getpid()) return std::nullopt;
  }
  const auto number = parse_number<std::uint64_t>(*usec);
  constexpr std::uint64_t kLongest = std::uint64_t{1} << 62;  // fits the signed count of std::chrono
  if (!number || *number > kLongest || microseconds(*number) < kShortestWatchdog) {
    return failure("WATCHDOG_USEC is no time to work with", EINVAL);
  }
  return std::chrono::duration_cast<milliseconds>(microseconds(*number) / 2);
}

// The protocol is lines, so a status is kept to one.
std::string one_line(std::string text) {
  text.resize(std::min(text.size(), kLongestStatus));
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

std::string line_of(Phase phase) {
  switch (phase) {
    case Phase::starting: return "";
    case Phase::ready: return "READY=1\n";
    case Phase::reloading: {
      const auto now = std::chrono::steady_clock::now().time_since_epoch();  // CLOCK_MONOTONIC
      const auto usec = std::chrono::duration_cast<microseconds>(now).count();
      return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec) + "\n";
    }
    case Phase::stopping: return "STOPPING=1\n";
  }
  return "";
}

}  // namespace

struct Notifier::State {
  struct Word {
    Phase phase;
    std::string status;
    milliseconds takes;
  };

  State(Address address_, Fd socket_) : address(address_), socket(std::move(socket_)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (pings == nullptr) return;
    uv_close(reinterpret_cast<uv_handle_t*>(pings),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
  }

  void feed_watchdog(Loop& loop, milliseconds interval) {
    pings = new uv_timer_t;
    uv_timer_init(loop.raw(), pings);
    pings->data = this;
    const auto ping = [](uv_timer_t* timer) { static_cast<State*>(timer->data)->ping(); };
    uv_timer_start(pings, ping, 0, static_cast<std::uint64_t>(interval.count()));
    uv_unref(reinterpret_cast<uv_handle_t*>(pings));
  }

  // Not connected: a manager that executes itself anew has a new socket at the old address.
  [[nodiscard]] Result<> send(std::string_view text) const {
    const auto* name = reinterpret_cast<const sockaddr*>(&address.name);
    if (::sendto(socket.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL, name, address.size) < 0) {
      return failure("send to NOTIFY_SOCKET", errno);
    }
    return {};
  }

  Result<> say_news() {
    std::string text;
    if (!told || told->phase != wanted->phase) {
      text += line_of(wanted->phase);
      if (wanted->takes > milliseconds(0)) {
        text += "EXTEND_TIMEOUT_USEC=" + std::to_string(microseconds(wanted->takes).count()) + "\n";
      }
    }
    if (!told || told->status != wanted->status) text += "STATUS=" + wanted->status + "\n";
    if (text.empty()) return {};
    told.reset();  // what is lost is said whole the next time
    auto sent = send(text);
    if (sent) told = wanted;
    return sent;
  }

  void ping() {
    if (wanted) (void)say_news();
    (void)send("WATCHDOG=1");  // without it the manager will know what to do
  }

  Address address;
  Fd socket;
  std::optional<Word> wanted;
  std::optional<Word> told;
  uv_timer_t* pings = nullptr;  // libuv frees it
};

Notifier::Notifier() = default;
Notifier::Notifier(std::unique_ptr<State> state) : state_(std::move(state)) {}
Notifier::Notifier(Notifier&&) noexcept = default;
Notifier& Notifier::operator=(Notifier&&) noexcept = default;
Notifier::~Notifier() = default;

Result<Notifier> Notifier::from_environment(Loop& loop) {
  const auto name = take("NOTIFY_SOCKET");
  const auto usec = take("WATCHDOG_USEC");
  const auto pid = take("WATCHDOG_PID");
  if (!name) return Notifier();
  const auto address = address_of(*name);
  if (!address) return std::unexpected(address.error());
  const auto interval = ping_interval(usec, pid);
  if (!interval) return std::unexpected(interval.error());
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return failure("socket for NOTIFY_SOCKET", errno);
  auto state = std::make_unique<State>(*address, std::move(socket));
  if (*interval) state->feed_watchdog(loop, **interval);
  return Notifier(std::move(state));
}

Result<> Notifier::tell(Phase phase, const std::string& status, milliseconds takes) {
  if (!state_) return {};
  state_->wanted = State::Word{phase, one_line(status), takes};
  return state_->say_news();
}

}  // namespace clat::loop
