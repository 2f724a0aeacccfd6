#include "supervisor/loop/children.hpp"

#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "supervisor/loop/child.hpp"

namespace clat::loop {

struct Children::State {
  State(Loop& loop_, Sink sink, ReportSink reports_)
      : loop(loop_), reports(std::move(reports_)), audit(new uv_timer_t) {
    owner.sink = std::move(sink);
    owner.answered = [this](Child& child, const control::Report* report) { pass_on(child, report); };
    owner.exited = [this](Child& child, int status, int signal) { bury(child, status, signal); };
    uv_timer_init(loop.raw(), audit);
    audit->data = this;
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    uv_close(reinterpret_cast<uv_handle_t*>(audit),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
  }

  Child* newest(const std::string& uplink) {
    const auto at =
        std::find_if(children.rbegin(), children.rend(), [&](const auto& child) { return child->uplink() == uplink; });
    return at == children.rend() ? nullptr : at->get();
  }

  Child* find(const std::string& uplink, int pid) {
    const auto at = std::ranges::find_if(
        children, [&](const auto& child) { return child->pid() == pid && child->uplink() == uplink; });
    return at == children.end() ? nullptr : at->get();
  }

  void pass_on(Child& child, const control::Report* report) {
    if (report != nullptr) owner.sink(model::ChildAnswered{child.uplink(), child.pid()});
    // A predecessor that is stopping has nothing new to say.
    if (&child == newest(child.uplink())) reports(child.uplink(), child.pid(), report);
  }

  void bury(Child& child, int status, int signal) {
    child.drain();
    const model::ChildExited event{child.uplink(), child.pid(), status, signal};
    // First: the sink may start a successor or signal this very pid.
    std::erase_if(children, [&](const auto& other) { return other.get() == &child; });
    owner.sink(event);
  }

  void look_after_all() {
    std::vector<Child*> gone;
    bool zombies = false;
    for (const auto& child : children) {
      switch (child->fate()) {
        case Fate::running: break;
        case Fate::zombie: zombies = true; break;
        case Fate::gone: gone.push_back(child.get()); break;
      }
    }
    if (zombies) collect_zombies();
    // Somebody else waited for these; how they ended nobody knows.
    for (Child* child : gone) bury(*child, -1, 0);
  }

  Loop& loop;
  ReportSink reports;
  Child::Owner owner;
  uv_timer_t* audit;                             // libuv frees it
  std::vector<std::unique_ptr<Child>> children;  // in order of their start
};

Children::Children(Loop& loop, Sink sink, ReportSink reports)
    : state_(std::make_unique<State>(loop, std::move(sink), std::move(reports))) {}
Children::Children(Children&&) noexcept = default;
Children& Children::operator=(Children&&) noexcept = default;
Children::~Children() = default;

Result<int> Children::spawn(const Launch& launch) {
  auto child = Child::spawn(state_->loop, state_->owner, launch);
  if (!child) return std::unexpected(std::move(child).error());
  return state_->children.emplace_back(std::move(*child))->pid();
}

Result<> Children::signal(const std::string& uplink, int pid, int signal) {
  const Child* child = state_->find(uplink, pid);
  // libuv may have waited for it already, with the exit callback still to come.
  if (child == nullptr || child->fate() == Fate::gone) {
    return failure("signal clatd " + std::to_string(pid), ESRCH);
  }
  if (::kill(child->target(), signal) != 0) return failure("signal clatd " + std::to_string(pid), errno);
  return {};
}

Result<> Children::request_report(const std::string& uplink) {
  Child* child = state_->newest(uplink);
  if (child == nullptr) return failure("no clatd for " + uplink, ESRCH);
  return child->control().request();
}

Result<> Children::tell_mtus(const std::string& uplink, int pid, std::uint32_t mtu, std::uint32_t lowest_ipv6_mtu) {
  Child* child = state_->find(uplink, pid);
  if (child == nullptr) return failure("no clatd " + std::to_string(pid), ESRCH);
  return child->control().tell_mtus(mtu, lowest_ipv6_mtu);
}

void Children::reconcile() {
  // Not here: the caller may be in the middle of some child's event.
  const auto look = [](uv_timer_t* timer) { static_cast<State*>(timer->data)->look_after_all(); };
  uv_timer_start(state_->audit, look, 0, 0);
}

bool Children::owns(int pid) const {
  return std::ranges::any_of(state_->children, [&](const auto& child) { return child->pid() == pid; });
}

}  // namespace clat::loop
