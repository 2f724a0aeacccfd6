#include "supervisor/plan/settle.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <ranges>
#include <set>
#include <utility>

#include "supervisor/plan/addresses.hpp"
#include "supervisor/plan/judge.hpp"
#include "supervisor/plan/neighbours.hpp"
#include "supervisor/plan/shaping.hpp"
#include "supervisor/plan/status.hpp"

namespace clat::plan {

namespace {

// Whether all that the record names is what would be made now: then it can be taken over as it stands.
bool fits(const World& world, const std::string& name, const Clat& clat, const Uplink& uplink,
          const RecordSpec& record) {
  if (!uplink.carrier || !clat.reachable || is_held_by_native_ipv4(world, name, clat, uplink)) return false;
  const auto& wanted = *world.wanted(name);
  return record.uplink_ifindex == uplink.ifindex && record.tun == wanted.tun && record.prefix == uplink.prefix &&
         record.shape == tun_shape(world, wanted) && record.metric == wanted.route_metric &&
         record.leg == leg_of(world, wanted, clat) && still_fit(world, name, uplink, {record.v4, record.v6}) &&
         record.ranges == wanted.ranges && !is_left_at_once(uplink, record.v6);
}

bool asks_route(const Clat& clat, const std::expected<Uplink, Reason>& uplink) {
  return (clat.ask_route || clat.asking_route) && uplink;
}

// What does not fit is purged before anything new is made. What does is judged again until the new record stands: the
// uplink may change before that.
void judge_leftovers(World& world) {
  for (auto& [name, leftover] : world.leftovers) {
    const auto clat = world.clats.find(name);
    if (world.wanted(name) == nullptr || clat == world.clats.end()) {
      leftover.unfit = true;
    } else {
      const auto uplink = usable_uplink(world, name);
      // Once it was answered, the CLAT goes on, whether or not it is asked again: nothing is taken over unjudged.
      if (!clat->second.route && asks_route(clat->second, uplink)) continue;
      leftover.unfit = leftover.unfit || !uplink || !fits(world, name, clat->second, *uplink, leftover.record);
      if (leftover.unfit && std::exchange(clat->second.adopt, false)) clat->second.addresses.reset();
    }
  }
}

bool carries_ipv4(const Clat& clat) {
  const auto stands = [&](Part part) { return clat.piece(part).stands(); };
  const bool route = stands(Part::route) || clat.route_is_taken() || !clat.outlook.wanted[index(Part::route)];
  // A fast path that is merely being attached again is not worth a word; one that cannot be is.
  const auto& announce = clat.piece(Part::announce).have;
  const bool fast = announce && std::get<AnnounceSpec>(*announce).leg == Leg::fast;
  const bool broken = fast && !stands(Part::fast_path) && clat.piece(Part::fast_path).retry.failed();
  return stands(Part::setup) && stands(Part::announce) && clat.was_ready && !clat.why_unused() && route && !broken &&
         !clat.is_unconfined() && clat.firewall.drops_clat.empty();
}

Reason why_down(const Clat& clat) {
  if (clat.outlook.hindrance) return *clat.outlook.hindrance;
  if (auto unused = clat.why_unused()) return *std::move(unused);
  if (!clat.firewall.drops_clat.empty()) return {Why::firewall, clat.firewall.drops_clat};
  if (clat.presence.yielded) return {Why::address_contested, clat.presence.yielded->text()};
  if (const auto* failure = clat.failure(); failure != nullptr) return Reason::of(*failure->error);
  const auto lost = std::ranges::find(clat.pieces, true, &Piece::damaged);
  if (lost != clat.pieces.end()) return {Why::part_lost, std::string(model::name(part_of(*lost->have)))};
  return {Why::settings_changed};
}

void tell_up_or_down(const std::string& name, Clat& clat, TimePoint now, std::vector<Notice>& notices) {
  const bool up = carries_ipv4(clat);
  if (up == clat.up) return;
  clat.up = up;
  clat.up_since = up ? std::optional(now) : std::nullopt;
  if (!up) {
    notices.push_back({name, notice::ClatDown{why_down(clat)}});
    return;
  }
  clat.presence.yielded.reset();
  const auto& setup = std::get<SetupSpec>(*clat.piece(Part::setup).have);
  const auto& announce = std::get<AnnounceSpec>(*clat.piece(Part::announce).have);
  notices.push_back({name, notice::ClatUp{.tun = setup.tun_name,
                                          .v4 = clat.addresses->v4,
                                          .v6 = clat.addresses->v6,
                                          .prefix = std::get<RecordSpec>(*clat.piece(Part::record).have).prefix,
                                          .mtu = setup.mtu,
                                          .leg = announce.leg,
                                          .fast_path = clat.fast_path_kind}});
}

HookState what_hooks_are_told(const Clat& clat) {
  const auto& setup = std::get<SetupSpec>(*clat.piece(Part::setup).have);
  return {.up = true,
          .tun = setup.tun_name,
          .v4 = clat.addresses->v4,
          .v6 = clat.addresses->v6,
          .prefix = std::get<RecordSpec>(*clat.piece(Part::record).have).prefix,
          .mtu = setup.mtu};
}

// One that is not configured any more keeps its hooks until they are told.
void settle_hooks(const World& world, const std::string& name, Clat& clat, TimePoint now) {
  auto& hooks = clat.hooks;
  if (hooks.since == TimePoint{}) hooks.since = now;
  const auto* wanted = world.wanted(name);
  if (wanted != nullptr) hooks.configure(wanted->on_up, wanted->on_down);
  if (!hooks.any() && !hooks.busy()) {
    hooks.forget();
  } else if (clat.up) {
    hooks.see(what_hooks_are_told(clat));
  } else if (hooks.state && hooks.state->up) {
    auto down = *hooks.state;
    down.up = false;
    down.why = why_down(clat).why;
    hooks.see(std::move(down));
  } else if (!hooks.state && (wanted == nullptr || hooks.is_first_down(now))) {
    hooks.see({.tun = wanted == nullptr ? "" : wanted->tun, .why = why_down(clat).why});
  }
}

// A clatd of which nothing is heard is replaced.
void give_up_child(const std::string& name, Process& process, TimePoint now, std::vector<Notice>& notices) {
  if (process.expire(now)) notices.push_back({name, notice::ClatReplaced{process.pid, *process.condemned}});
}

// Without a fast path nothing gets through while no clatd reads packets. A restart in time is not worth a word.
void miss_clatd(const World& world, const std::string& name, Clat& clat, TimePoint now) {
  const auto counts_from = clat.child.process.counts_from(clat.misses_clatd);
  if (counts_from && *counts_from <= now)
    clat.no_clatd_since.reset();
  else if (!clat.no_clatd_since)
    clat.no_clatd_since = now;
  const auto* wanted = world.wanted(name);
  clat.misses_clatd = wanted != nullptr && clatd_is_data_path(world, *wanted, clat) && clat.no_clatd_since &&
                      *clat.no_clatd_since + kClatdGrace <= now;
}

void probe_nat64(World& world, const std::string& name, Clat& clat) {
  const auto* wanted = world.wanted(name);
  const auto& record = clat.piece(Part::record).have;
  if (wanted == nullptr || !wanted->probe || !record) {
    clat.probing = {};
    return;
  }
  clat.probing.aim(*wanted->probe, std::get<RecordSpec>(*record).prefix);
  if (clat.can_be_probed())
    clat.probing.go_on(world.random);
  else
    clat.probing.pause();
}

// A failure ends with its cause, be it that the part is not wanted any more.
void forget_failures(Clat& clat) {
  for (std::size_t i = 0; i < kParts; ++i) {
    auto& piece = clat.pieces[i];
    if (piece.is(clat.outlook.wanted[i])) piece.retry.forget();
  }
}

void time_state(State state, Clat& clat, TimePoint now) {
  if (clat.state == state && clat.state_since != TimePoint{}) return;
  clat.state = state;
  clat.state_since = now;
}

// The blackhole of an address without use is released after a while; with use again, it stays.
void time_guard(Clat& clat, TimePoint now) {
  const bool idle = clat.piece(Part::guard).have && !clat.outlook.wanted[index(Part::guard)];
  if (!idle)
    clat.guard_release_at.reset();
  else if (!clat.guard_release_at)
    clat.guard_release_at = now + kGuardGrace;
}

// What was in use before anybody spoke: an earlier supervisor's prefix, or that of a config that named one.
void remember_prefix(const World& world, const std::string& name, Clat& clat) {
  const auto leftover = world.leftovers.find(name);
  if (const auto& record = clat.piece(Part::record).have)
    clat.prefixes.remember(std::get<RecordSpec>(*record).prefix);
  else if (leftover != world.leftovers.end() && !leftover->second.unfit)
    clat.prefixes.remember(leftover->second.record.prefix);
}

bool may_be_used(const World& world, const config::Interface& wanted, const Nat64Prefix& prefix) {
  const bool listed =
      wanted.only_prefixes.empty() || std::ranges::find(wanted.only_prefixes, prefix) != wanted.only_prefixes.end();
  const bool by_dialect = world.config->clatd.dialect == config::Dialect::native || prefix.length() == 96;
  const auto overlaps = [&](const RangeMapping& range) { return overlap(range.v6.as_prefix(), prefix.as_prefix()); };
  return listed && by_dialect && !(wanted.ipv6_address && prefix.contains(*wanted.ipv6_address)) &&
         std::ranges::none_of(wanted.ranges, overlaps);
}

// Where the config names none. Told once for each change.
void discover_prefix(const World& world, const std::string& name, Clat& clat, TimePoint now,
                     std::vector<Notice>& notices) {
  const auto* wanted = world.wanted(name);
  if (wanted == nullptr) return;
  if (wanted->nat64_prefix) {
    clat.forget_routers();
    clat.prefixes = {};  // as if nobody had spoken yet
    clat.discovered.reset();
    return;
  }
  remember_prefix(world, name, clat);
  const auto offers = clat.prefixes.all().size();
  clat.prefixes.expire(now);
  const bool expired = clat.prefixes.all().size() < offers;
  const auto* best = clat.prefixes.best(clat.discovered,
                                        [&](const Nat64Prefix& prefix) { return may_be_used(world, *wanted, prefix); });
  if (best != nullptr ? clat.discovered == best->prefix : !clat.discovered) return;
  clat.ask_route = true;
  if (best == nullptr) {
    notices.push_back({name, notice::PrefixLost{*std::exchange(clat.discovered, std::nullopt), expired}});
    return;
  }
  clat.discovered = best->prefix;
  notices.push_back({name, notice::PrefixFound{best->prefix, best->source, best->router, best->lifetime}});
}

// Whether an IPv4 address became free.
bool settle_one(World& world, const std::string& name, Clat& clat, TimePoint now, std::vector<Notice>& notices) {
  const auto before = clat.addresses;
  auto uplink = usable_uplink(world, name);
  if (world.wanted(name) == nullptr) {
    clat.obstacle.reset();
  } else {
    auto obstacle = uplink ? find_addresses(world, name, clat, *uplink, now, notices) : std::optional(uplink.error());
    // What only waits for the kernel's answer about the route is not worth a line.
    if (clat.route || !asks_route(clat, uplink)) {
      if (obstacle && obstacle != clat.obstacle) notices.push_back({name, notice::Hindered{*obstacle}});
      clat.obstacle = std::move(obstacle);
    }
  }
  give_up_child(name, clat.child.process, now, notices);
  miss_clatd(world, name, clat, now);
  probe_nat64(world, name, clat);
  end_silence(clat.presence, now);
  clat.outlook = judge(world, name, clat, std::move(uplink), now);
  forget_failures(clat);
  time_guard(clat, now);
  meet_neighbours(world, clat, now);
  tell_up_or_down(name, clat, now, notices);
  tell_shaping(world, name, clat, notices);
  settle_hooks(world, name, clat, now);
  time_state(state_of(world, name, clat), clat, now);
  return before && before != clat.addresses;
}

// The same: whether others may have what it had.
bool settle_and_forget(World& world, const std::string& name, TimePoint now, std::vector<Notice>& notices) {
  const auto clat = world.clats.find(name);
  if (clat == world.clats.end()) return false;
  const bool freed = settle_one(world, name, clat->second, now, notices);
  if (world.wanted(name) != nullptr) return freed;
  const bool has_tun = clat->second.has_tun();
  if (clat->second.empty() && !clat->second.hooks.have_work(now)) world.clats.erase(clat);
  return !has_tun && !world.stopping;
}

// Through links other than our tuns. None of 127.0.0.0/8: that is refused anyway. The largest, if there are too many.
std::vector<Ipv4Prefix> connected_subnets(const World& world) {
  std::set<int> tuns = world.buried_tuns;
  for (const auto& [name, clat] : world.clats) tuns.insert(clat.tun);
  std::vector<Ipv4Prefix> subnets;
  world.kernel.ipv4.for_each([&](int ifindex, const Ipv4OnLink& each) {
    const auto* link = world.kernel.links.find(ifindex);
    if (link == nullptr || !link->up || tuns.contains(ifindex)) return;
    if (each.address.bytes[0] == 127) return;
    subnets.push_back(each.subnet);
    if (!each.subnet.contains(each.address)) subnets.push_back({each.address, 32});
  });
  const auto key = [](const Ipv4Prefix& each) { return std::pair(each.length, each.address.number()); };
  std::ranges::sort(subnets, {}, key);
  const auto again = std::ranges::unique(subnets);
  subnets.erase(again.begin(), again.end());
  if (subnets.size() > kMostSubnets) subnets.resize(kMostSubnets);
  return subnets;
}

}  // namespace

void settle(World& world, Scope& scope, TimePoint now, std::vector<Notice>& notices) {
  if (!world.config || !world.kernel_known) return;
  if (scope.all && !world.stopping) {
    for (const auto& [name, interface] : world.interfaces()) world.clats.try_emplace(name);
  }
  if (scope.all) world.subnets = connected_subnets(world);
  std::set<std::string> names = scope.uplinks;
  if (scope.all) std::ranges::copy(std::views::keys(world.clats), std::inserter(names, names.end()));
  for (const auto& name : names) {
    if (const auto clat = world.clats.find(name); clat != world.clats.end()) {
      discover_prefix(world, name, clat->second, now, notices);
    }
  }
  judge_leftovers(world);
  bool freed = false;
  for (const auto& name : names) freed |= settle_and_forget(world, name, now, notices);
  if (freed) {
    scope.all = true;
    for (auto& [name, clat] : world.clats) settle_one(world, name, clat, now, notices);
  }
  settle_shortcut(world, notices);
}

}  // namespace clat::plan
