#include <algorithm>
#include <cerrno>
#include <utility>

#include "supervisor/plan/applier.hpp"
#include "supervisor/plan/judge.hpp"

namespace clat::plan {

namespace {

// Programs that could not be attached.
constexpr config::Restart kBpfRetry{.initial = std::chrono::seconds(1), .max = std::chrono::minutes(5)};
// A link that lost its pin is at work until the kernel takes it off its hook.
constexpr std::chrono::milliseconds kLinkGoes{20};

}  // namespace

void Applier::operator()(const Done& event) {
  const auto found = world_.clats.find(event.uplink);
  if (found == world_.clats.end()) return;
  auto& clat = found->second;
  if (!clat.under_way) return;
  const Spec target = std::exchange(clat.under_way, std::nullopt)->target;
  if (event.result) tell(event.uplink, notice::ActionDone{event.verb, event.part});
  switch (event.verb) {
    case Verb::make:
    case Verb::change:
      if (event.result)
        made(event.uplink, clat, target, *event.result);
      else
        not_made(event.uplink, clat, target, event.verb, event.result.error());
      return;
    case Verb::remove:
      if (!event.result) tell(event.uplink, notice::ActionFailed{event.verb, event.part, event.result.error()});
      if (event.result || gives_up(clat.piece(event.part).retry))
        removed(clat, target);
      else
        fail(clat.piece(event.part), event.verb, event.result.error());
      return;
    case Verb::kill: clat.child.process.phase = Process::Phase::killed; return;
    case Verb::verify:
      if (event.result) return;
      if (says_nothing(event.result.error())) return tell_unasked(event.result.error());
      return lost(event.uplink, clat, event.part, event.result.error());
  }
}

void Applier::operator()(const Purged& event) {
  const auto found = world_.leftovers.find(event.uplink);
  if (found == world_.leftovers.end()) return;
  if (event.result || gives_up(found->second.retry)) {
    if (const auto* tun = world_.link(found->second.record.tun)) world_.bury_tun(tun->ifindex);
    world_.leftovers.erase(found);
  } else {
    auto& leftover = found->second;
    leftover.purging = false;
    leftover.retry.fail(retry_delay(leftover.retry), now_, event.result.error());
  }
  if (event.result) return;
  tell(event.uplink,
       notice::DeedFailed{world_.stopping ? notice::Deed::purge_at_stop : notice::Deed::purge, event.result.error()});
}

// A stop does not wait long for what cannot be removed.
bool Applier::gives_up(const Retry& retry) const {
  constexpr unsigned kTries = 3;
  return world_.stopping && retry.backoff.failures + 1 >= kTries;
}

milliseconds Applier::retry_delay(Retry& retry) {
  constexpr milliseconds kLongestAtStop{200};
  const auto delay = retry.backoff.fail(kRetry, world_.random);
  return world_.stopping ? std::min(delay, kLongestAtStop) : delay;
}

milliseconds Applier::fail(Piece& piece, Verb verb, const Error& error) {
  piece.failing = verb;
  return piece.retry.fail(retry_delay(piece.retry), now_, error);
}

// What is made anew may have been the cause of its failing.
void Applier::hurry_what_stands_on(Clat& clat, Part base) {
  for (const Part part : kInOrder) {
    if (stands_on(part, base, clat.outlook.wanted[index(part)])) clat.piece(part).retry.hurry(now_);
  }
}

void Applier::made(const std::string& uplink, Clat& clat, const Spec& target, const Made& result) {
  const Part part = part_of(target);
  auto& piece = clat.piece(part);
  const bool first = !piece.stands();
  const bool was_lost = piece.have && piece.damaged;
  const bool heard_routers = clat.hears_routers();
  if (part == Part::route && clat.route_is_taken())
    tell(uplink, notice::RouteRestored{std::get<RouteSpec>(target).metric});
  piece.have = target;
  piece.damaged = false;
  piece.retry.succeed();
  if (first) hurry_what_stands_on(clat, part);
  // From here on the new record says what there is; what an earlier supervisor left is part of it.
  if (part == Part::record && world_.leftovers.erase(uplink) > 0) clat.takes_over = clat.adopt;
  if (part == Part::announce) clat.takes_over = false;
  if (part == Part::tun) {
    clat.tun = result.ifindex;
    if (clat.adopt) {
      tell(uplink, notice::SupervisorAdopted{std::get<TunSpec>(target).name, clat.addresses->v4, clat.addresses->v6});
      // Its default route is there, too, and is taken away if no clatd gets ready in time.
      const auto& record = std::get<RecordSpec>(*clat.piece(Part::record).have);
      auto& route = clat.piece(Part::route);
      if (record.metric) route.have = RouteSpec{clat.tun, record.v4, *record.metric};
      route.damage();
    }
  }
  if (part == Part::announce) take_firewall(uplink, clat, result.firewall);
  if (part == Part::child && first) child_started(uplink, clat, result.pid);
  if (part == Part::child && !first) clat.child.process.expect_answer(now_);
  if (part == Part::listen && clat.hears_routers() && !heard_routers) {
    // An advertisement may take half a second (RFC 4861, MAX_RA_DELAY_TIME), and what it says goes before the DNS.
    constexpr milliseconds kHeadStart{500};
    clat.solicitation.at = now_;
    clat.ask_dns_at = now_ + kHeadStart;
  }
  if (part == Part::filter) filter_made(uplink, clat, was_lost);
  if (part == Part::fast_path && first) fast_path_attached(uplink, clat, result.detail);
}

void Applier::child_started(const std::string& uplink, Clat& clat, int pid) {
  auto& child = clat.child;
  ++child.spawns;
  const auto& spec = std::get<ChildSpec>(*clat.piece(Part::child).have);
  child.process = Process::start(pid, now_, spec.dialect == config::Dialect::native);
  child.start.forget();
  tell(uplink, notice::ClatSpawned{pid, child.restarts()});
  if (child.process.has_control) return;
  clat.was_ready = true;
  tell(uplink, notice::NetdStarting{spec.v4, spec.v6, spec.prefix});
  tell(uplink, notice::NetdStarted{});
}

void Applier::filter_made(const std::string& uplink, Clat& clat, bool was_lost) {
  const auto& spec = std::get<FilterSpec>(*clat.piece(Part::filter).have);
  const bool bpf_again = spec.means == FilterMeans::bpf && clat.bpf_filter.failed();
  if (bpf_again) {
    clat.bpf_filter.succeed();
    // So the fast path may be to be had again.
    clat.fast_path.hurry(now_);
    clat.piece(Part::fast_path).retry.hurry(now_);
  }
  if (bpf_again || was_lost) tell(uplink, notice::FilterRestored{spec.means});
}

void Applier::fast_path_attached(const std::string& uplink, Clat& clat, const std::string& kind) {
  clat.fast_path_kind = kind;
  clat.fast_path.succeed();
  tell(uplink, notice::FastpathAttached{kind});
  if (std::exchange(clat.fast_path_was_lost, false)) tell(uplink, notice::FastpathRestored{kind});
}

// What could not be asked for stays as it is known.
void Applier::tell_unasked(const Error& error) { tell(notice::DeedFailed{notice::Deed::verify, error}); }

void Applier::lost(const std::string& uplink, Clat& clat, Part part, const Error& error) {
  if (part == Part::fast_path) return fast_path_lost(uplink, clat, error);
  if (part == Part::tun)
    clat.lose_tun();
  else
    clat.piece(part).damage();
  tell(uplink, notice::PartLost{part, error});
}

void Applier::fast_path_lost(const std::string& uplink, Clat& clat, const Error& error) {
  clat.piece(Part::fast_path).damage();
  clat.fast_path_kind.clear();
  clat.fast_path_was_lost = true;
  tell(uplink, notice::FastpathLost{error});
}

void Applier::not_made(const std::string& uplink, Clat& clat, const Spec& target, Verb verb, const Error& error) {
  const Part part = part_of(target);
  if ((part == Part::filter || part == Part::fast_path) && verb == Verb::make && error.code == EAGAIN) {
    clat.piece(part).failing = verb;
    clat.piece(part).retry.fail(kLinkGoes, now_, error);
    return;
  }
  switch (part) {
    case Part::filter: return filter_not_made(uplink, clat, std::get<FilterSpec>(target), error);
    case Part::fast_path:
      // What stands is as it was, and works: that the address is ours is said a moment later.
      if (const auto& have = clat.piece(part).have;
          verb == Verb::change && have && says_nothing(error) &&
          bpf::is_same_entry(std::get<FastPathSpec>(*have), std::get<FastPathSpec>(target))) {
        (void)fail(clat.piece(part), verb, error);
        return;
      }
      return fast_path_not_made(uplink, clat, verb, error);
    case Part::child: return child_not_made(uplink, clat, verb, error);
    case Part::shaping: (void)fail(clat.piece(part), verb, error); return;  // settle() tells
    case Part::record:
    case Part::tun:
    case Part::setup:
    case Part::guard:
    case Part::announce:
    case Part::lan:
    case Part::listen:
    case Part::route: return fails(uplink, clat, part, verb, error);
  }
}

// Other means confine clatd as well, but carry no fast path. What was said once is not said again.
void Applier::filter_not_made(const std::string& uplink, Clat& clat, const FilterSpec& target, const Error& error) {
  const auto& piece = clat.piece(Part::filter);
  // What rules there were, are there still.
  if (target.means == FilterMeans::nftables) return fails(uplink, clat, Part::filter, Verb::make, error);
  // The map entry may be gone: attaching writes it anew.
  const bool changed = piece.stands() && std::get<FilterSpec>(*piece.have).means == target.means;
  if (changed) return lost(uplink, clat, Part::filter, error);
  auto& retry = clat.bpf_filter;
  const bool told = retry.error && retry.error->code == error.code;
  retry.fail(retry.backoff.fail(kBpfRetry, world_.random), now_, error);
  if (!told) tell(uplink, notice::FilterUnavailable{error});
  if (clat.piece(Part::fast_path).stands()) fast_path_lost(uplink, clat, error);
  const auto* wanted = world_.wanted(uplink);
  if (wanted != nullptr && wanted->fast_path != config::FastPathMode::off) {
    fast_path_not_made(uplink, clat, Verb::make, error);
  }
}

void Applier::fast_path_not_made(const std::string& uplink, Clat& clat, Verb verb, const Error& error) {
  // The map entries may be gone: attaching writes them anew.
  if (verb == Verb::change) return fast_path_lost(uplink, clat, error);
  const auto* wanted = world_.wanted(uplink);
  const auto why = clat.bpf_filter.error.value_or(error);
  if (wanted != nullptr && wanted->fast_path == config::FastPathMode::automatic)
    fast_path_unavailable(uplink, clat, why);
  else
    fails(uplink, clat, Part::fast_path, verb, why);
}

void Applier::fails(const std::string& uplink, Clat& clat, Part part, Verb verb, const Error& error) {
  auto& piece = clat.piece(part);
  const bool told = piece.retry.error == error;
  const auto retry_in = fail(piece, verb, error);
  if (told) return;
  const auto* wanted = world_.wanted(uplink);
  const bool routed = wanted != nullptr && leg_of(world_, *wanted, clat) == Leg::routed;
  if (part == Part::announce && error.code == EPERM && routed) {
    return tell(uplink, notice::ForwardingOff{error, retry_in});
  }
  if (part == Part::route && clat.route_is_taken()) {
    return tell(uplink, notice::RouteTaken{wanted != nullptr ? wanted->route_metric.value_or(0) : 0});
  }
  tell(uplink, notice::PartNotMade{verb, part, error, retry_in});
}

void Applier::child_not_made(const std::string& uplink, Clat& clat, Verb verb, const Error& error) {
  tell(uplink, notice::ActionFailed{verb, Part::child, error});
  if (verb == Verb::make) return back_off(uplink, clat.child, NeverStarted{error});
  fail(clat.piece(Part::child), verb, error);
  clat.child.process.fall_silent(error.text(), now_);
}

// The slow path carries the traffic; what was said once is not said again.
void Applier::fast_path_unavailable(const std::string& uplink, Clat& clat, const Error& error) {
  auto& retry = clat.fast_path;
  const bool told = retry.error && retry.error->code == error.code;
  retry.fail(retry.backoff.fail(kBpfRetry, world_.random), now_, error);
  if (told) return;
  tell(uplink, notice::FastpathUnavailable{error});
}

void Applier::removed(Clat& clat, const Spec& target) {
  const Part part = part_of(target);
  auto& piece = clat.piece(part);
  piece.retry.forget();
  switch (part) {
    case Part::child: {
      const auto patience = clat.is_unconfined() ? milliseconds(0) : world_.config->clatd.stop_timeout;
      child_told_to_stop(std::get<ChildSpec>(target).uplink, clat.child.process, patience);
      return;
    }
    case Part::tun:
      world_.bury_tun(clat.tun);
      clat.lose_tun();
      return;
    case Part::guard:
      std::erase_if(clat.retired, [&](const RetiredGuard& each) { return each.guard == std::get<GuardSpec>(target); });
      if (piece.have == target) piece.forget();
      return;
    case Part::fast_path: clat.fast_path_kind.clear(); break;
    case Part::listen: clat.ask_dns_at.reset(); break;
    case Part::record:
      clat.takes_over = false;
      clat.presence.begin();  // others may take the address meanwhile
      break;
    case Part::setup:
    case Part::filter:
    case Part::shaping:
    case Part::announce:
    case Part::lan:
    case Part::route: break;
  }
  piece.forget();
}

}  // namespace clat::plan
