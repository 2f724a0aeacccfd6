#include "supervisor/plan/status.hpp"

#include <algorithm>

namespace clat::plan {

namespace {

std::optional<Reason> obstacle_of(const Clat& clat) {
  if (clat.obstacle || clat.firewall.drops_clat.empty() || !clat.piece(Part::announce).stands()) return clat.obstacle;
  return Reason{Why::firewall, clat.firewall.drops_clat};
}

State state_of(const World& world, const std::string& uplink, const Clat& clat) {
  if (world.wanted(uplink) == nullptr) return State::stopping;
  if (const auto obstacle = obstacle_of(clat)) return needs_somebody(obstacle->why) ? State::failed : State::waiting;
  if (clat.failure() != nullptr) return State::failed;
  if (clat.child.refused && clat.child.process.pid == 0) return State::failed;
  if (clat.child.start.failed() && clat.child.process.pid == 0) return State::backoff;
  return clat.up ? State::up : State::starting;
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
                     .restarts = child.restarts(),
                     .last_end = child.last_end};
  if (child.start.at) status.next_start_in = whole(*child.start.at - now);
  if (child.is_flapping(now)) {
    status.ends = child.ends.size();
    status.ends_within = whole(now - child.ends.front());
  }
  return status;
}

}  // namespace

InterfaceStatus status_of(const World& world, const std::string& uplink, const Clat& clat, TimePoint now) {
  InterfaceStatus status{.name = uplink,
                         .state = state_of(world, uplink, clat),
                         .obstacle = obstacle_of(clat),
                         .tun = {},
                         .tun_ifindex = clat.tun,
                         .fast_path = clat.fast_path_kind,
                         .child = child_status(world, clat.child, now)};
  if (const auto& tun = clat.piece(Part::tun).have) status.tun = std::get<TunSpec>(*tun).name;
  if (const auto* link = world.link(uplink)) status.ifindex = link->ifindex;
  if (clat.up_since) status.up_for = whole(now - *clat.up_since);
  if (clat.addresses) {
    status.v4 = clat.addresses->v4;
    status.v6 = clat.addresses->v6;
  }
  if (const auto* wanted = world.wanted(uplink)) {
    status.prefix = wanted->nat64_prefix ? wanted->nat64_prefix : clat.discovered;
    status.offers = clat.prefixes.all();
    status.net_id = wanted->net_id;
    status.tun = wanted->tun;
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
  Status all;
  for (const auto& [name, clat] : world.clats) all.interfaces.push_back(status_of(world, name, clat, now));
  return all;
}

}  // namespace clat::plan
