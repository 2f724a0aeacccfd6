#include "supervisor/edge.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <utility>

#include "core/base/first_error.hpp"
#include "core/clatd/android_sockets.hpp"
#include "supervisor/edge_answers.hpp"
#include "supervisor/launch.hpp"
#include "supervisor/sources/host_name_servers.hpp"
#include "supervisor/system/interface_name.hpp"

namespace clat {

using model::Made;
using model::Verb;

KernelEdge::KernelEdge(system::StateDir& state, system::Network& network, sources::NetlinkSource& netlink,
                       std::string bpf_dir, loop::Loop& loop, loop::Sink sink)
    : state_(state),
      network_(network),
      netlink_(netlink),
      bpf_dir_(std::move(bpf_dir)),
      firewall_(network.sysctl()),
      loop_(loop),
      sink_(std::move(sink)),
      resolver_(loop, [this](model::Nat64Answer heard) { sink_(std::move(heard)); }),
      children_(loop, sink_,
                [this](const std::string& uplink, int pid, const control::Report* report) {
                  take_report(uplink, pid, report);
                }),
      hooks_(loop, hook_sink(sink_), {}) {}

std::optional<model::Event> KernelEdge::execute(const model::Action& action) {
  return std::visit(
      [this](const auto& each) -> std::optional<model::Event> {
        if constexpr (std::is_same_v<std::decay_t<decltype(each)>, model::Exit>)
          return std::nullopt;
        else
          return act(each);
      },
      action);
}

std::optional<model::Event> KernelEdge::act(const model::PartAction& action) {
  auto result =
      std::visit([&](const auto& spec) -> std::optional<Result<Made>> { return do_part(action, spec); }, action.spec);
  if (!result) return std::nullopt;
  if (const auto* announce = std::get_if<model::AnnounceSpec>(&action.spec); announce != nullptr && *result) {
    if (const auto host = firewall_.read()) {
      (*result)->firewall = system::HostFirewall::look(*host, *announce, system::interface_name(announce->tun));
    }
  }
  return model::Done{action.uplink, action.verb, model::part_of(action.spec), *std::move(result)};
}

Result<Made> KernelEdge::do_part(const model::PartAction& action, const model::RecordSpec& record) {
  switch (action.verb) {
    case Verb::make:
    case Verb::change: return answer(state_.write(record));
    case Verb::remove:
      slow_path_.erase(record.uplink);
      silent_.erase(record.uplink);
      // Whatever it names and the plan did not know of, an earlier supervisor's above all, goes with it.
      if (record.leg == model::Leg::fast) {
        if (auto fast = fast_path()) {
          if (auto gone = (*fast)->forget(record.uplink_ifindex); !gone) return answer(std::move(gone));
        }
      }
      return answer(purge(record));
    case Verb::kill:
    case Verb::verify: break;
  }
  return impossible(action);
}

Result<Made> KernelEdge::do_part(const model::PartAction& action, const model::TunSpec& tun) {
  switch (action.verb) {
    case Verb::make: {
      auto ifindex = network_.make(action.uplink, tun);
      if (!ifindex) return std::unexpected(std::move(ifindex).error());
      return Made{.ifindex = *ifindex, .pid = 0, .detail = {}};
    }
    case Verb::remove: return answer(network_.remove(action.uplink, tun));
    case Verb::change:
    case Verb::kill:
    case Verb::verify: break;
  }
  return impossible(action);
}

template <class Spec>
Result<Made> KernelEdge::do_part(const model::PartAction& action, const Spec& spec) {
  switch (action.verb) {
    case Verb::make: return answer(network_.make(spec));
    case Verb::change:
      if constexpr (requires { network_.change(spec, spec); }) {
        return answer(network_.change(std::get<Spec>(*action.before), spec));
      }
      break;
    case Verb::remove: return answer(network_.remove(spec));
    case Verb::verify:
      if constexpr (requires { network_.verify(spec); }) return answer(network_.verify(spec));
      break;
    case Verb::kill: break;
  }
  return impossible(action);
}

Result<Made> KernelEdge::do_part(const model::PartAction& action, const model::FastPathSpec& wanted) {
  auto fast = fast_path();
  if (!fast) return std::unexpected(std::move(fast).error());
  switch (action.verb) {
    case Verb::make: {
      const auto kind = (*fast)->attach(wanted);
      if (!kind) {
        if (may_need_new_programs(kind.error())) fast_path_.reset();
        return std::unexpected(kind.error());
      }
      return Made{.ifindex = 0, .pid = 0, .detail = bpf::name(*kind)};
    }
    case Verb::change: {
      const bool same_entry = bpf::is_same_entry(std::get<model::FastPathSpec>(*action.before), wanted);
      return answer(same_entry ? (*fast)->set_optimistic(wanted) : (*fast)->update(wanted));
    }
    case Verb::remove: return answer((*fast)->detach(wanted));
    case Verb::verify: return answer(check_programs(wanted, (*fast)->verify_pins()));
    case Verb::kill: break;
  }
  return impossible(action);
}

Result<Made> KernelEdge::do_part(const model::PartAction& action, const model::ListenSpec& listen) {
  switch (action.verb) {
    case Verb::make: {
      auto socket = sources::NdSocket::open(loop_, listen, sink_);
      if (!socket) return std::unexpected(std::move(socket).error());
      auto next_hops = sources::NextHopWatch::open(loop_, listen, sink_);
      if (!next_hops) return std::unexpected(std::move(next_hops).error());
      nd_sockets_.insert_or_assign(listen.uplink, *std::move(socket));
      next_hops_.insert_or_assign(listen.uplink, *std::move(next_hops));
      return Made{};
    }
    case Verb::change: {
      if (!listen.routers) resolver_.cancel(listen.uplink);
      auto changed = by_nd_socket(listen.uplink, [&](auto& socket) { return socket.change(listen); });
      return answer(changed ? next_hops_.at(listen.uplink)->change(listen) : std::move(changed));
    }
    case Verb::remove:
      resolver_.cancel(listen.uplink);
      nd_sockets_.erase(listen.uplink);
      next_hops_.erase(listen.uplink);
      return Made{};
    case Verb::kill:
    case Verb::verify: break;
  }
  return impossible(action);
}

Result<Made> KernelEdge::do_part(const model::PartAction& action, const model::ChildSpec& child) {
  const auto signal = [&](int number) -> Result<Made> {
    auto sent = children_.signal(action.uplink, action.pid, number);
    // Gone already: its exit is on the way.
    if (!sent && sent.error().code != ESRCH) return std::unexpected(std::move(sent).error());
    return Made{};
  };
  switch (action.verb) {
    case Verb::make: return spawn(child);
    case Verb::change: return answer(children_.tell_mtus(child.uplink, action.pid, child.mtu, child.lowest_ipv6_mtu));
    case Verb::remove: return signal(SIGTERM);
    case Verb::kill: return signal(SIGKILL);
    case Verb::verify: break;
  }
  return impossible(action);
}

Result<Made> KernelEdge::spawn(const model::ChildSpec& child) {
  const bool native = child.dialect == config::Dialect::native;
  loop::Launch launch{.uplink = child.uplink,
                      .path = child.path,
                      .argv = clatd_argv(child),
                      .fds = network_.tun_queues(child.uplink),
                      .control = native};
  // The child has copies of its own; here they end with the launch.
  std::vector<Fd> sockets;
  if (child.dialect == config::Dialect::aosp) {
    auto packet = android::open_packet_socket(child.uplink_ifindex, child.v6);
    if (!packet) return std::unexpected(std::move(packet).error());
    auto raw = android::open_raw_socket(child.uplink_ifindex, child.v6, child.mark);
    if (!raw) return std::unexpected(std::move(raw).error());
    launch.fds.insert(launch.fds.end(), {packet->get(), raw->get()});
    sockets.push_back(std::move(*packet));
    sockets.push_back(std::move(*raw));
  }
  auto pid = children_.spawn(launch);
  if (!pid) return std::unexpected(std::move(pid).error());
  if (native)
    slow_path_.try_emplace(child.uplink);
  else
    silent_.insert(child.uplink);
  return Made{.ifindex = 0, .pid = *pid, .detail = {}};
}

Result<bpf::FastPath*> KernelEdge::fast_path() {
  if (!fast_path_) {
    auto opened = bpf::FastPath::open(bpf_dir_);
    if (!opened) return std::unexpected(std::move(opened).error());
    if (auto known = opened->know_subnets(subnets_); !known) return std::unexpected(std::move(known).error());
    fast_path_ = std::move(*opened);
    // What an earlier supervisor left on devices of the LAN, or these programs' own forerunners.
    (void)fast_path_->serve_lan({});
  }
  return &*fast_path_;
}

std::optional<model::Event> KernelEdge::act(const model::KnowSubnets& action) {
  subnets_ = action.subnets;
  // Loaded anew, the programs get all of them, or the error is told. The next audit sees that those attached are
  // others.
  if (fast_path_ && !fast_path_->know_subnets(subnets_)) fast_path_.reset();
  return std::nullopt;
}

std::optional<model::Event> KernelEdge::act(const model::Purge& action) {
  // Where BPF is not to be had there is no fast path to take away.
  Result<> forgotten;
  if (auto fast = fast_path()) forgotten = (*fast)->forget(action.record.uplink_ifindex);
  auto purged = purge(action.record);
  return model::Purged{action.record.uplink, purged ? std::move(forgotten) : std::move(purged)};
}

Result<> KernelEdge::purge(const model::RecordSpec& record) {
  if (auto purged = network_.purge(record); !purged) return purged;
  return state_.erase_record(record.uplink);
}

std::optional<model::Event> KernelEdge::act(const model::LookUpRoute& action) {
  return model::LookedUp{action.uplink, network_.way_to(action.way), network_.has_native_ipv4(action.way.ifindex)};
}

Result<> KernelEdge::check(const model::Audit::Check& check, const Found& found) {
  if (const auto* fast = std::get_if<model::FastPathSpec>(&check.spec)) return check_programs(*fast, found.pins);
  if (const auto* filter = std::get_if<model::FilterSpec>(&check.spec)) {
    return check_filter(*filter, found.pins);
  }
  if (const auto* lan = std::get_if<model::LanSpec>(&check.spec)) return check_lan(*lan);
  if (const auto* shaping = std::get_if<model::ShapingSpec>(&check.spec)) return network_.verify(*shaping);
  const auto& stock = found.stock;
  if (!stock) return {};
  return std::visit(
      [&](const auto& spec) -> Result<> {
        using Spec = std::decay_t<decltype(spec)>;
        if constexpr (std::is_same_v<Spec, model::TunSpec>)
          return network_.verify(check.uplink, spec, *stock);
        else if constexpr (requires { network_.verify(spec, *stock); })
          return network_.verify(spec, *stock);
        else
          return {};
      },
      check.spec);
}

std::optional<model::Event> KernelEdge::act(const model::Audit& audit) {
  children_.reconcile();
  hooks_.reconcile();
  // Who does not answer is found by the plan.
  for (const auto& [uplink, totals] : slow_path_) (void)children_.request_report(uplink);
  model::Audited audited;
  auto dumped = netlink_.dump();
  if (dumped)
    audited.kernel = dumped->kernel;
  else
    audited.unasked = dumped.error();
  const Found found{dumped ? network_.take_stock(std::move(dumped->kernel), std::move(dumped->tuns))
                           : std::unexpected(dumped.error()),
                    fast_path_ ? fast_path_->verify_pins() : Result<>()};
  if (!found.stock) audited.unasked = found.stock.error();
  const auto host = firewall_.read();
  for (const auto& each : audit.checks) {
    if (const auto* announce = std::get_if<model::AnnounceSpec>(&each.spec)) {
      const auto* tun = host && found.stock ? found.stock->find_tun(announce->tun) : nullptr;
      if (tun != nullptr) {
        audited.firewalls.emplace(each.uplink, system::HostFirewall::look(*host, *announce, tun->link.name));
      }
    }
    auto checked = check(each, found);
    if (checked) continue;
    if (model::says_nothing(checked.error()))
      audited.unasked = std::move(checked.error());
    else
      audited.missing.push_back({each, std::move(checked.error())});
  }
  if (audit.shortcut) audited.shortcut = check_shortcut();
  for (const auto& uplink : silent_) {
    if (const auto queue = network_.tun_queue(uplink)) audited.queues.emplace(uplink, *queue);
  }
  return audited;
}

std::optional<model::Event> KernelEdge::act(const model::Solicit& action) {
  auto sent = by_nd_socket(action.uplink, [](auto& socket) { return socket.solicit(); });
  // Loading the programs takes longest of all that the answer will want: it is done while the routers think.
  (void)fast_path();
  return model::Sent{action.uplink, std::move(sent)};
}

std::optional<model::Event> KernelEdge::act(const model::Advertise& action) {
  return model::Sent{action.uplink,
                     by_nd_socket(action.uplink, [&](auto& socket) { return socket.advertise(action.claim); })};
}

std::optional<model::Event> KernelEdge::act(const model::Ping& action) {
  pingers_.erase(action.uplink);
  auto pinger = sources::Pinger::start(loop_, action, [this](model::PingEnded ended) {
    pingers_.erase(ended.uplink);
    sink_(std::move(ended));
  });
  if (!pinger) return model::PingEnded{action.uplink, action.echo.nonce, std::unexpected(std::move(pinger).error())};
  pingers_.insert_or_assign(action.uplink, *std::move(pinger));
  return std::nullopt;
}

std::optional<model::Event> KernelEdge::act(const model::AskRouters& action) {
  Result<> asked;
  for (const auto& router : action.routers) note(asked, network_.ask_neighbour(action.ifindex, router));
  return model::Sent{action.uplink, std::move(asked)};
}

std::optional<model::Event> KernelEdge::act(const model::Probe& action) {
  return model::Sent{action.uplink,
                     by_nd_socket(action.uplink, [&](auto& socket) { return socket.probe(action.probe); })};
}

std::optional<model::Event> KernelEdge::act(const model::Nat64Question& action) {
  auto question = action;
  if (question.servers.empty()) question.servers = sources::host_name_servers(question.uplink);
  resolver_.ask(question);
  return std::nullopt;
}

std::optional<model::Event> KernelEdge::act(const model::CollectHealth& action) {
  if (!action.overdue) {
    for (const auto& [uplink, totals] : slow_path_) {
      if (children_.request_report(uplink)) unanswered_.insert(uplink);
    }
    if (!unanswered_.empty()) return std::nullopt;
  }
  unanswered_.clear();
  return health();
}

void KernelEdge::take_report(const std::string& uplink, int pid, const control::Report* report) {
  const auto totals = slow_path_.find(uplink);
  if (report != nullptr && totals != slow_path_.end()) totals->second.take(pid, *report);
  if (unanswered_.erase(uplink) > 0 && unanswered_.empty()) sink_(health());
}

model::HealthCollected KernelEdge::health() {
  model::HealthCollected collected;
  for (const auto& [uplink, attachment] : counted_) {
    if (!fast_path_) break;
    if (auto counters = fast_path_->counters(attachment)) collected.by_uplink[uplink] = std::move(*counters);
  }
  for (const auto& [uplink, tun] : ruled_) {
    if (counted_.contains(uplink)) continue;  // rules that would not go
    auto drops = network_.filter_drops(tun);
    std::ranges::move(drops, std::back_inserter(collected.by_uplink[uplink]));
  }
  for (const auto& [uplink, socket] : nd_sockets_) {
    if (socket->unheard() > 0) collected.by_uplink[uplink].emplace_back("nd_unheard", socket->unheard());
  }
  count_shortcut(collected);
  for (const auto& [uplink, totals] : slow_path_) totals.append_to(collected.by_uplink[uplink]);
  return collected;
}

}  // namespace clat
