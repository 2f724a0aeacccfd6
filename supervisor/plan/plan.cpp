#include "supervisor/plan/plan.hpp"

#include <algorithm>
#include <ranges>

#include "supervisor/plan/judge.hpp"

namespace clat::plan {

namespace {

class ClatPlanner {
 public:
  ClatPlanner(const World& world, const std::string& uplink, const Clat& clat, TimePoint now)
      : world_(world), uplink_(uplink), clat_(clat), outlook_(clat.outlook), now_(now) {}

  std::optional<Action> next() {
    if (clat_.under_way) return std::nullopt;
    wait_for_clatd();
    if (want(Part::filter)) (void)has_come(clat_.bpf_filter);
    if (clat_.better_at) (void)has_come(*clat_.better_at);
    if (clat_.presence.contested) (void)has_come(clat_.presence.move);
    if (clat_.presence.ours_at) (void)has_come(*clat_.presence.ours_at);
    if (clat_.prefixes.next_expiry()) (void)has_come(*clat_.prefixes.next_expiry());
    if (auto action = child_overstays()) return action;
    if (auto action = solicit()) return action;
    if (auto action = look_up_route()) return action;
    if (auto action = release_guard()) return action;
    if (auto action = take_down()) return action;
    if (auto action = build()) return action;
    if (auto action = meet_neighbours()) return action;
    if (auto action = ping()) return action;
    if (auto action = look()) return action;
    if (auto action = ask_routers()) return action;
    return ask_dns();
  }

  // Beside all else: the CLAT waits for no hook.
  std::optional<Action> hook() {
    return clat_.hooks.next(uplink_, now_, [this](TimePoint at) { wake(at); });
  }

  void wake(TimePoint at) {
    if (!wake_at_ || at < *wake_at_) wake_at_ = at;
  }
  [[nodiscard]] std::optional<TimePoint> wake_at() const { return wake_at_; }

 private:
  [[nodiscard]] const Piece& piece(Part part) const { return clat_.piece(part); }
  [[nodiscard]] const std::optional<Spec>& want(Part part) const { return outlook_.wanted[index(part)]; }
  [[nodiscard]] bool must_go(Part part) const { return outlook_.must_go[index(part)].has_value(); }

  // Whether `at` has come; if not, the loop wakes up for it.
  bool has_come(TimePoint at) {
    if (at <= now_) return true;
    wake(at);
    return false;
  }
  bool has_come(const Retry& retry) { return !retry.at || has_come(*retry.at); }

  Action act(Verb verb, Spec spec, std::optional<Reason> reason = {}) const {
    return PartAction{uplink_, verb, std::move(spec), std::nullopt, clat_.child.process.pid, std::move(reason)};
  }

  std::optional<Action> look_up_route() {
    const auto& uplink = outlook_.uplink;
    if (!clat_.ask_route || clat_.asking_route || !uplink || !has_come(clat_.route_question)) return std::nullopt;
    return LookUpRoute{uplink_, way_to_nat64(*world_.wanted(uplink_), clat_, *uplink)};
  }

  std::optional<Action> solicit() {
    if (!clat_.solicitation.at || !clat_.hears_routers() || !has_come(clat_.solicitation)) return std::nullopt;
    return Solicit{uplink_};
  }

  // Last, when the map entries have the new link-layer address, too. A probe wants its answer to be heard.
  std::optional<Action> meet_neighbours() {
    const auto& presence = clat_.presence;
    if (!presence.answers || !clat_.hears_of(presence.place->v6)) return std::nullopt;
    const auto& [v6, ifindex] = *presence.place;
    if (presence.phase == Presence::Phase::untested) return Probe{uplink_, {v6, *presence.nonce}};
    if (!presence.advertise_at || !has_come(*presence.advertise_at)) return std::nullopt;
    return Advertise{uplink_, {link_local_address(world_, ifindex).value_or(v6), v6, presence.mac}};
  }

  std::optional<Action> ping() {
    const auto& probing = clat_.probing;
    if (!probing.echo || probing.under_way || !has_come(probing.next_at.value_or(now_))) return std::nullopt;
    return Ping{uplink_,
                clat_.tun,
                clat_.addresses->v4,
                probing.wish->address,
                *probing.echo,
                std::min(kPingPatience, probing.wish->interval)};
  }

  // Routers know better, and are heard without being asked. Last of all: no event comes soon.
  std::optional<Action> ask_dns() {
    if (!clat_.ask_dns_at || !clat_.hears_routers() || clat_.prefixes.has_from(PrefixSource::ra)) {
      return std::nullopt;
    }
    const auto own = dns_source(world_, uplink_);
    if (!own || !has_come(*clat_.ask_dns_at)) return std::nullopt;
    const auto& listen = std::get<ListenSpec>(*piece(Part::listen).have);
    const auto& configured = world_.config->dns_servers;
    return Nat64Question{.uplink = uplink_,
                         .ifindex = listen.uplink_ifindex,
                         .own = *own,
                         .mark = world_.wanted(uplink_)->mark,
                         .servers = configured.empty() ? clat_.name_servers.at(now_) : configured};
  }

  // What packets go by is asked by them.
  std::optional<Action> ask_routers() {
    const auto& dead = clat_.dead_routers;
    const auto& uplink = outlook_.uplink;
    if (dead.all.empty() || !uplink || !clat_.route || dead.contains(clat_.route->next_hop)) return std::nullopt;
    if (!has_come(dead.question)) return std::nullopt;
    return AskRouters{uplink_, uplink->ifindex, dead.all};
  }

  // When it begins to be missed, and when it is not any more, is for settle() to say.
  void wait_for_clatd() {
    const auto* wanted = world_.wanted(uplink_);
    if (wanted == nullptr || !clatd_is_data_path(world_, *wanted, clat_) || !clat_.no_clatd_since) return;
    const auto counts_from = clat_.child.process.counts_from(clat_.misses_clatd);
    const auto at = clat_.misses_clatd ? counts_from : *clat_.no_clatd_since + kClatdGrace;
    if (at && *at > now_) wake(*at);
  }

  // Asked to leave and still there. One that has to be given up is condemned by then.
  std::optional<Action> child_overstays() {
    const auto& process = clat_.child.process;
    const auto at = process.deadline();
    if (!at) return std::nullopt;
    if (process.phase != Process::Phase::stopping) {
      wake(*at);
      return std::nullopt;
    }
    if (!piece(Part::child).have || !has_come(*at)) return std::nullopt;
    return act(Verb::kill, *piece(Part::child).have);
  }

  // This part failed a moment ago.
  bool held_back(Part part, bool removing) {
    return (piece(part).failing == Verb::remove) == removing && !has_come(piece(part).retry);
  }

  std::optional<Action> take_down() {
    for (const Part part : kInOrder | std::views::reverse) {
      if (!must_go(part)) continue;
      const bool carries = std::ranges::any_of(
          kInOrder, [&](Part other) { return piece(other).have && stands_on(other, part, piece(other).have); });
      if (carries) continue;
      if (part == Part::child && clat_.child.process.told_to_stop()) continue;  // asked already
      if (part == Part::guard && guard_lingers()) continue;
      if (part == Part::record && !clat_.retired.empty()) continue;
      if (held_back(part, true)) continue;
      return act(Verb::remove, *piece(part).have, outlook_.must_go[index(part)]);
    }
    return std::nullopt;
  }

  // The blackhole of an address that has no use any more stays a while. On the routed leg it is in nobody's way, but
  // of no use either.
  bool guard_lingers() {
    if (world_.stopping || want(Part::announce) || record_is_waited_for()) return false;
    return !clat_.guard_release_at || !has_come(*clat_.guard_release_at);
  }

  // Nothing else is made before a record that has to go is gone, and that waits for each blackhole.
  [[nodiscard]] bool record_is_waited_for() const { return clat_.takes_over && must_go(Part::record); }

  std::optional<Action> release_guard() {
    if (held_back(Part::guard, true)) return std::nullopt;
    const bool at_once = world_.stopping || record_is_waited_for();
    for (const auto& retired : clat_.retired) {
      if (at_once || has_come(retired.release_at)) {
        return act(Verb::remove, retired.guard, Reason{Why::not_wanted});
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] bool has_its_base(Part part) const {
    return std::ranges::all_of(kInOrder, [&](Part base) {
      if (!stands_on(part, base, want(part))) return true;
      return !must_go(base) && piece(base).stands() == want(base).has_value();
    });
  }

  // What `make` waits for beyond the parts it stands on.
  bool may_make(Part part) {
    switch (part) {
      case Part::fast_path: return has_come(clat_.fast_path);
      case Part::child:
        if (want(part) == clat_.child.refused) return false;
        return has_come(clat_.child.start);
      // IPv4 that leads nowhere yet would take the place of a default route that works.
      case Part::route: return clat_.was_ready && piece(Part::announce).is(want(Part::announce));
      case Part::listen:
      case Part::guard:
      case Part::record:
      case Part::tun:
      case Part::setup:
      case Part::filter:
      case Part::shaping:
      case Part::lan:
      case Part::announce: return true;
    }
    return true;
  }

  [[nodiscard]] bool grows(Part part) const {
    return piece(part).stands() && !must_go(part) && mtu_of(want(part)) > mtu_of(piece(part).have);
  }

  // An MTU that falls goes to the tun first, then to the programs, then to clatd (the order of parts): none lets
  // through what the next cannot send. One that grows goes the other way.
  [[nodiscard]] bool grows_too_early(Part part) const {
    return grows(part) && std::ranges::any_of(kInOrder, [&](Part later) { return later > part && grows(later); });
  }

  std::optional<Action> build() {
    for (const Part part : kInOrder) {
      const auto& have = piece(part).have;
      const auto& wanted = want(part);
      if (!wanted || piece(part).is(wanted) || must_go(part) || held_back(part, false) || !has_its_base(part)) continue;
      // Map entries that are gone cannot be changed; attaching writes them anew.
      const bool has_entries = part == Part::filter || part == Part::fast_path;
      const bool anew = !have || (piece(part).damaged && (have == wanted || has_entries));
      if (anew) {
        if (may_make(part)) return act(Verb::make, *wanted);
      } else if (!grows_too_early(part) && !(part == Part::child && clat_.child.process.told_to_stop())) {
        return PartAction{uplink_, Verb::change, *wanted, have, clat_.child.process.pid, std::nullopt};
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<Action> look() const {
    for (const Part part : kInOrder) {
      if (piece(part).verify && piece(part).stands()) return act(Verb::verify, *piece(part).have);
    }
    return std::nullopt;
  }

  const World& world_;
  const std::string& uplink_;
  const Clat& clat_;
  const Outlook& outlook_;
  TimePoint now_;
  std::optional<TimePoint> wake_at_;
};

Audit audit(const World& world) {
  Audit all;
  for (const auto& [uplink, clat] : world.clats) {
    for (const Part part : kInOrder) {
      const auto& piece = clat.piece(part);
      if (is_audited(part) && piece.stands() && !clat.has_under_way(part)) all.checks.push_back({uplink, *piece.have});
    }
  }
  all.shortcut = world.shortcut.told && world.shortcut.told->is_served();
  return all;
}

}  // namespace

Plan plan(const World& world, TimePoint now, const Scope& scope) {
  Plan result;
  const auto wake = [&result](TimePoint at) {
    if (!result.wake_at || at < *result.wake_at) result.wake_at = at;
  };
  if (!world.config || !world.kernel_known) {
    if (world.stopping) result.actions.emplace_back(Exit{});
    return result;
  }
  if (world.handover) {
    result.actions.emplace_back(Exit{});
    return result;
  }

  // Before the programs that go by it are attached.
  if (world.subnets_told != world.subnets) result.actions.emplace_back(KnowSubnets{world.subnets});

  if (const auto& shortcut = world.shortcut; shortcut.is_due(now))
    result.actions.emplace_back(ServeShortcut{shortcut.wanted});
  else if (shortcut.retry.at && *shortcut.retry.at > now)
    wake(*shortcut.retry.at);

  for (const auto& [uplink, leftover] : world.leftovers) {
    if (!leftover.unfit || leftover.purging) continue;
    if (leftover.retry.at.value_or(now) > now)
      wake(*leftover.retry.at);
    else
      result.actions.emplace_back(Purge{leftover.record});
  }

  const auto look_at = [&](const auto& clat) {
    ClatPlanner planner(world, clat.first, clat.second, now);
    if (auto action = planner.next()) result.actions.push_back(std::move(*action));
    if (auto action = planner.hook()) result.actions.push_back(std::move(*action));
    if (const auto at = planner.wake_at()) result.wakes.emplace(clat.first, *at);
  };
  if (scope.all) {
    std::ranges::for_each(world.clats, look_at);
  } else {
    for (const auto& uplink : scope.uplinks) {
      if (const auto clat = world.clats.find(uplink); clat != world.clats.end()) look_at(*clat);
    }
  }

  if (world.stopping) {
    const bool done = world.leftovers.empty() && std::ranges::all_of(world.clats, [now](const auto& each) {
                        return each.second.empty() && !each.second.hooks.have_work(now);
                      });
    if (done) result.actions.emplace_back(Exit{});
    return result;
  }

  if (world.health_deadline) {
    if (*world.health_deadline <= now)
      result.actions.emplace_back(CollectHealth{.overdue = true});
    else
      wake(*world.health_deadline);
  } else if (world.status_asked || world.health_due <= now) {
    result.actions.emplace_back(CollectHealth{});
  }
  if (world.health_due > now) wake(world.health_due);
  if (world.audit_due <= now)
    result.actions.emplace_back(audit(world));
  else
    wake(world.audit_due);
  return result;
}

}  // namespace clat::plan
