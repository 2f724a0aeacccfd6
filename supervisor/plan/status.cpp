#include "supervisor/plan/status.hpp"

#include <algorithm>

#include "supervisor/plan/shaping.hpp"

namespace clat::plan {

namespace {

std::optional<Reason> obstacle_of(const Clat& clat) {
  if (clat.obstacle) return clat.obstacle;
  // What only waits for the kernel's answer about the route starts.
  const auto& hindrance = clat.outlook.hindrance;
  const bool asks = clat.ask_route || clat.asking_route;
  if (hindrance && !(asks && hindrance->why == Why::no_route)) return hindrance;
  if (clat.probing.is_silent()) return clat.why_unused();
  if (clat.firewall.drops_clat.empty() || !clat.piece(Part::announce).stands()) return std::nullopt;
  return Reason{Why::firewall, clat.firewall.drops_clat};
}

ChildState child_state(const World& world, const Child& child, TimePoint now) {
  using Phase = Process::Phase;
  const auto& process = child.process;
  switch (process.phase) {
    case Phase::none:
      if (child.refused) return ChildState::failed;
      if (!child.start.failed()) return ChildState::none;
      return child.is_flapping(now) ? ChildState::flapping : ChildState::backoff;
    case Phase::condemned:
    case Phase::stopping:
    case Phase::killed: return ChildState::stopping;
    case Phase::starting:
    case Phase::running:
    case Phase::asked:
    case Phase::last_look: break;
  }
  if (!process.ready) return ChildState::starting;
  const bool stable = now - process.started >= world.config->clatd.restart.stable_after;
  return child.is_flapping(now) && !stable ? ChildState::flapping : ChildState::running;
}

ChildStatus child_status(const World& world, const Child& child, TimePoint now) {
  ChildStatus status{.state = child_state(world, child, now),
                     .pid = child.process.pid,
                     .ready = child.process.ready,
                     .starts = child.spawns,
                     .restarts = child.restarts(),
                     .last_end = child.last_end};
  if (child.start.at) status.next_start_in = whole(*child.start.at - now);
  if (child.is_flapping(now)) {
    status.ends = child.ends.size();
    status.ends_within = whole(now - child.ends.front());
  }
  return status;
}

std::optional<ProbeStatus> probe_status(const Probing& probing) {
  if (!probing.wish) return std::nullopt;
  return ProbeStatus{probing.wish->address, probing.failures};
}

std::optional<HookStatus> hook_status(const Hooks& hooks, TimePoint now) {
  if (!hooks.told || hooks.told->argv.empty()) return std::nullopt;
  return HookStatus{.path = hooks.told->argv.front(),
                    .up = hooks.told->state.up,
                    .runs_for = hooks.busy() ? std::optional(whole(now - hooks.started)) : std::nullopt,
                    .failure = hooks.busy() ? std::nullopt : hooks.failure};
}

Counted counted(const Samples& samples) {
  Counted counted;
  if (!samples.now) return counted;
  counted.now = samples.now->counters;
  if (samples.before) {
    counted.before = samples.before->counters;
    counted.between = whole(samples.now->at - samples.before->at);
  }
  return counted;
}

std::vector<OfferStatus> offers(const Prefixes& prefixes, TimePoint now) {
  std::vector<OfferStatus> offers;
  for (const auto& each : prefixes.all()) {
    offers.push_back({each, each.expires ? std::optional(whole(*each.expires - now)) : std::nullopt});
  }
  return offers;
}

// What the config says of it.
void take_wishes(InterfaceStatus& status, const config::Interface& wanted, const Clat& clat, TimePoint now) {
  status.prefix = wanted.nat64_prefix ? wanted.nat64_prefix : clat.discovered;
  status.offers = offers(clat.prefixes, now);
  if (wanted.nat64_prefix) status.prefix_source = PrefixSource::config;
  for (const auto& each : status.offers) {
    if (!status.prefix_source && status.prefix == each.candidate.prefix) status.prefix_source = each.candidate.source;
  }
  status.ranges = wanted.ranges;
  status.net_id = wanted.net_id;
  status.tun = wanted.tun;
  status.metric = wanted.route_metric;
  status.fast_path_is_off = wanted.fast_path == config::FastPathMode::off;
}

}  // namespace

State state_of(const World& world, const std::string& uplink, const Clat& clat) {
  if (world.wanted(uplink) == nullptr) return State::stopping;
  if (const auto obstacle = obstacle_of(clat)) return needs_somebody(obstacle->why) ? State::failed : State::waiting;
  if (clat.failure() != nullptr) return State::failed;
  if (clat.child.refused && clat.child.process.pid == 0) return State::failed;
  if (clat.child.start.failed() && clat.child.process.pid == 0) return State::backoff;
  return clat.up ? State::up : State::starting;
}

InterfaceStatus status_of(const World& world, const std::string& uplink, const Clat& clat, TimePoint now) {
  InterfaceStatus status{.name = uplink,
                         .state = state_of(world, uplink, clat),
                         .in_state = whole(now - clat.state_since),
                         .obstacle = obstacle_of(clat),
                         .route = clat.route,
                         .route_is_taken = clat.route_is_taken(),
                         .firewall = clat.firewall,
                         .tun = {},
                         .tun_ifindex = clat.tun,
                         .fast_path = clat.fast_path_kind,
                         .no_fast_path = clat.fast_path.error,
                         .no_bpf_filter = clat.bpf_filter.error,
                         .shaping = shaping_of(world, uplink, clat),
                         .child = child_status(world, clat.child, now),
                         .probe = probe_status(clat.probing),
                         .hook = hook_status(clat.hooks, now),
                         .counted = counted(clat.samples)};
  if (clat.outlook.uplink) status.ipv6_mtu = clat.outlook.uplink->mtu;
  if (const auto& setup = clat.piece(Part::setup).have) status.ipv4_mtu = std::get<SetupSpec>(*setup).mtu;
  if (const auto& tun = clat.piece(Part::tun).have) status.tun = std::get<TunSpec>(*tun).name;
  if (const auto* link = world.link(uplink)) status.ifindex = link->ifindex;
  if (clat.up_since) status.up_for = whole(now - *clat.up_since);
  if (clat.addresses) {
    status.v4 = clat.addresses->v4;
    status.v6 = clat.addresses->v6;
  }
  if (const auto* interface = world.interface(uplink)) {
    status.entry = interface->entry;
    take_wishes(status, interface->wanted, clat, now);
  }
  if (const auto* failure = clat.failure()) {
    status.failure = failure->error;
    status.retry_in = whole(std::max(*failure->at - now, TimePoint::duration::zero()));
  }
  for (std::size_t i = 0; i < kParts; ++i) {
    if (clat.pieces[i].stands()) status.stands.push_back(static_cast<Part>(i));
  }
  return status;
}

Status status(const World& world, TimePoint now) {
  Status all{.config = world.config_file,
             .uptime = whole(now - world.started),
             .reloads = world.reloads,
             .refused = world.refused};
  for (const auto& [name, clat] : world.clats) all.interfaces.push_back(status_of(world, name, clat, now));
  return all;
}

}  // namespace clat::plan
