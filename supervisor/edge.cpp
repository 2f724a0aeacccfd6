#include "supervisor/edge.hpp"

#include <cerrno>
#include <csignal>

namespace clat {

namespace {

using plan::Made;
using plan::Verb;

Result<Made> answer(Result<> result) {
  if (!result) return std::unexpected(std::move(result).error());
  return Made{};
}

Result<Made> impossible(const plan::PartAction& action) {
  return failure("there is no " + std::string(plan::name(action.verb)) + " of " +
                     std::string(plan::name(plan::part_of(action.spec))),
                 ENOTSUP);
}

std::vector<std::string> clatd_argv(const plan::ChildSpec& child) {
  std::vector<std::string> argv{"clatd-" + child.uplink,
                                "-i",
                                child.uplink,
                                "-p",
                                child.prefix.text(),
                                "-4",
                                child.v4.text(),
                                "-6",
                                child.v6.text(),
                                "-t",
                                "3",
                                "--tun-format",
                                "vnet",
                                "--control-fd",
                                "4",
                                "--user",
                                std::to_string(child.uid) + ":" + std::to_string(child.gid)};
  return argv;
}

}  // namespace

KernelEdge::KernelEdge(system::StateDir& state, system::Network& network, system::NetlinkMonitor& monitor,
                       std::string bpf_dir, std::function<void(plan::Event)> post)
    : state_(state), network_(network), monitor_(monitor), bpf_dir_(std::move(bpf_dir)), post_(std::move(post)) {}

std::optional<plan::Event> KernelEdge::execute(const plan::Action& action) {
  return std::visit(
      [this](const auto& each) -> std::optional<plan::Event> {
        if constexpr (std::is_same_v<std::decay_t<decltype(each)>, plan::Exit>)
          return std::nullopt;
        else
          return act(each);
      },
      action);
}

std::optional<plan::Event> KernelEdge::act(const plan::PartAction& action) {
  auto result = std::visit([&](const auto& spec) { return do_part(action, spec); }, action.spec);
  return plan::Done{action.uplink, action.verb, plan::part_of(action.spec), std::move(result)};
}

Result<Made> KernelEdge::do_part(const plan::PartAction& action, const plan::RecordSpec& record) {
  switch (action.verb) {
    case Verb::make:
    case Verb::change: return answer(state_.write(record));
    case Verb::remove:
      slow_path_.erase(record.uplink);
      // Whatever it names and the plan did not know of, an earlier supervisor's above all, goes with it.
      return answer(purge(record));
    case Verb::kill:
    case Verb::verify: break;
  }
  return impossible(action);
}

Result<Made> KernelEdge::do_part(const plan::PartAction& action, const plan::TunSpec& tun) {
  switch (action.verb) {
    case Verb::make: {
      auto ifindex = network_.make(action.uplink, tun);
      if (!ifindex) return std::unexpected(std::move(ifindex).error());
      return Made{.ifindex = *ifindex, .pid = 0, .detail = {}};
    }
    case Verb::remove: return answer(network_.remove(action.uplink, tun));
    case Verb::verify: return answer(network_.verify(action.uplink, tun));
    case Verb::change:
    case Verb::kill: break;
  }
  return impossible(action);
}

template <class Spec>
Result<Made> KernelEdge::do_part(const plan::PartAction& action, const Spec& spec) {
  switch (action.verb) {
    case Verb::make: return answer(network_.make(spec));
    case Verb::change: return answer(network_.change(std::get<Spec>(*action.before), spec));
    case Verb::remove: return answer(network_.remove(spec));
    case Verb::verify: return answer(network_.verify(spec));
    case Verb::kill: break;
  }
  return impossible(action);
}

Result<Made> KernelEdge::do_part(const plan::PartAction& action, const plan::FastPathSpec& wanted) {
  auto fast = fast_path();
  if (!fast) return std::unexpected(std::move(fast).error());
  switch (action.verb) {
    case Verb::make: {
      const auto kind = (*fast)->attach(wanted);
      if (!kind) {
        // Somebody may have taken the pins away from under us: the next attempt loads everything anew.
        fast_path_.reset();
        return std::unexpected(kind.error());
      }
      attached_.insert_or_assign(action.uplink, wanted);
      return Made{.ifindex = 0, .pid = 0, .detail = bpf::name(*kind)};
    }
    case Verb::change: {
      auto updated = (*fast)->update(wanted);
      if (updated) attached_.insert_or_assign(action.uplink, wanted);
      return answer(std::move(updated));
    }
    case Verb::remove: {
      auto detached = (*fast)->detach(wanted);
      if (detached) attached_.erase(action.uplink);
      return answer(std::move(detached));
    }
    case Verb::verify: return answer((*fast)->verify(wanted));
    case Verb::kill: break;
  }
  return impossible(action);
}

Result<Made> KernelEdge::do_part(const plan::PartAction& action, const plan::ChildSpec& child) {
  const auto signal = [&](int number) -> Result<Made> {
    auto sent = children_->signal(action.uplink, action.pid, number);
    // Gone already: its exit is on the way.
    if (!sent && sent.error().code != ESRCH) return std::unexpected(std::move(sent).error());
    return Made{};
  };
  switch (action.verb) {
    case Verb::make: {
      auto pid = children_->spawn({child.uplink, child.path, clatd_argv(child), network_.tun_queues(child.uplink)});
      if (!pid) return std::unexpected(std::move(pid).error());
      slow_path_.try_emplace(child.uplink);
      return Made{.ifindex = 0, .pid = *pid, .detail = {}};
    }
    case Verb::change: return answer(children_->request_report(child.uplink));
    case Verb::remove: return signal(SIGTERM);
    case Verb::kill: return signal(SIGKILL);
    case Verb::verify: break;
  }
  return impossible(action);
}

Result<bpf::FastPath*> KernelEdge::fast_path() {
  if (!fast_path_) {
    auto opened = bpf::FastPath::open(bpf_dir_);
    if (!opened) return std::unexpected(std::move(opened).error());
    fast_path_ = std::move(*opened);
  }
  return &*fast_path_;
}

std::optional<plan::Event> KernelEdge::act(const plan::Purge& action) {
  // Where BPF is not to be had there is no fast path to take away.
  Result<> forgotten;
  if (auto fast = fast_path()) forgotten = (*fast)->forget(action.record.uplink_ifindex);
  auto purged = purge(action.record);
  return plan::Purged{action.record.uplink, purged ? std::move(forgotten) : std::move(purged)};
}

Result<> KernelEdge::purge(const plan::RecordSpec& record) {
  if (auto purged = network_.purge(record); !purged) return purged;
  return state_.erase_record(record.uplink);
}

std::optional<plan::Event> KernelEdge::act(const plan::LookUpRoute& action) {
  return plan::LookedUp{action.uplink, network_.way_to(action.destination, action.ifindex)};
}

std::optional<plan::Event> KernelEdge::act(const plan::Audit&) {
  children_->reconcile();
  // Who does not answer is found by the plan.
  for (const auto& [uplink, totals] : slow_path_) (void)children_->request_report(uplink);
  auto kernel = monitor_.dump();
  return plan::Audited{kernel ? std::optional(std::move(*kernel)) : std::nullopt};
}

std::optional<plan::Event> KernelEdge::act(const plan::CollectHealth& action) {
  if (!action.overdue) {
    for (const auto& [uplink, totals] : slow_path_) {
      if (children_->request_report(uplink)) unanswered_.insert(uplink);
    }
    if (!unanswered_.empty()) return std::nullopt;
  }
  unanswered_.clear();
  return health();
}

void KernelEdge::answered(const std::string& uplink) {
  const auto latest = children_->report(uplink);
  const auto totals = slow_path_.find(uplink);
  if (latest.report && totals != slow_path_.end()) totals->second.take(latest.pid, *latest.report);
  if (unanswered_.erase(uplink) > 0 && unanswered_.empty()) post_(health());
}

plan::HealthCollected KernelEdge::health() {
  plan::HealthCollected collected;
  for (const auto& [uplink, attachment] : attached_) {
    if (!fast_path_) break;
    if (auto counters = fast_path_->counters(attachment)) collected.by_uplink[uplink] = std::move(*counters);
  }
  for (const auto& [uplink, totals] : slow_path_) totals.append_to(collected.by_uplink[uplink]);
  return collected;
}

}  // namespace clat
