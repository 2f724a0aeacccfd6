#include <algorithm>
#include <cerrno>

#include "supervisor/log/catalogue.hpp"
#include "supervisor/plan/desired.hpp"
#include "supervisor/plan/plan.hpp"
#include "supervisor/plan/settle.hpp"
#include "supervisor/plan/tell.hpp"

namespace clat::plan {

namespace {

using Notes = std::vector<Note>;

bool runs(const Link* link) { return link != nullptr && link->up && link->carrier; }

// Compares one configured uplink before and after; a re-created link counts as gone and up.
void tell_link(const std::string& name, const Link* before, const Link* after, Notes& notes) {
  if (before != nullptr && (after == nullptr || after->ifindex != before->ifindex)) {
    notes.push_back({Severity::warn, events::kLinkGone, name, {{"ifindex", std::to_string(before->ifindex)}}});
    before = nullptr;
  }
  if (after == nullptr || runs(before) == runs(after)) return;
  if (runs(after)) {
    notes.push_back({Severity::info,
                     events::kLinkUp,
                     name,
                     {{"ifindex", std::to_string(after->ifindex)}, {"mtu", std::to_string(after->mtu)}}});
  } else {
    notes.push_back({Severity::warn, events::kLinkDown, name, {{"reason", after->up ? "no carrier" : "set down"}}});
  }
}

// Our tun is not there any more, or lost what setup gave it. What stood on it is found unwanted by the plan.
void lose_tun(Clat& clat) {
  clat.tun = 0;
  clat.piece(Part::tun).have.reset();
  clat.adopt = false;
}

Clat* owner_of_tun(World& world, int ifindex) {
  const auto found = std::ranges::find_if(world.clats, [&](const auto& each) { return each.second.tun == ifindex; });
  return ifindex == 0 || found == world.clats.end() ? nullptr : &found->second;
}

void verify_all(World& world) {
  for (auto& [name, clat] : world.clats) clat.verify = clat.piece(Part::fast_path).have.has_value();
}

void ask_all_routes(World& world) {
  for (auto& [name, clat] : world.clats) clat.ask_route = true;
}

class Applier {
 public:
  Applier(World& world, TimePoint now, Notes& notes) : world_(world), now_(now), notes_(notes) {}

  void operator()(const ConfigLoaded& event) {
    const auto before = world_.config;
    world_.config = event.config;
    if (!before || before->log.health_interval != event.config->log.health_interval) {
      world_.health_due = now_ + event.config->log.health_interval;
    }
    if (!before || before->audit_interval != event.config->audit_interval) {
      world_.audit_due = now_ + event.config->audit_interval;
    }
    for (auto& [name, clat] : world_.clats) {
      // New settings are a new chance for what failed with the old ones.
      if (clat.failure) clat.failure->retry_at = now_;
      clat.fast_path_retry_at = now_;
      const auto* old = before ? before->find(name) : nullptr;
      const auto* now = event.config->find(name);
      if (old == nullptr || now == nullptr || old->nat64_prefix != now->nat64_prefix) clat.ask_route = true;
    }
    notes_.push_back(tell_config(before.get(), *event.config, event.file));
  }

  void operator()(const ConfigRejected& event) {
    notes_.push_back({Severity::error,
                      events::kConfigRejected,
                      "",
                      {{"file", event.file},
                       {"line", std::to_string(event.line)},
                       {"col", std::to_string(event.column)},
                       {"reason", event.reason},
                       {"errors", std::to_string(event.errors)},
                       {"next", "the running configuration stays"}}});
  }

  void operator()(const RecordsFound& event) {
    for (const auto& record : event.records) world_.leftovers.insert_or_assign(record.uplink, record);
  }

  void operator()(const StopRequested& event) {
    if (world_.stopping) return;
    world_.stopping = true;
    notes_.push_back({Severity::info, events::kSupervisorStopping, "", {{"signal", signal_name(event.signal)}}});
  }

  void operator()(const HandoverRequested&) {
    if (world_.stopping) return;
    world_.handover = true;
    notes_.push_back({Severity::info, events::kSupervisorHandover, "", {{"next", "a successor takes over"}}});
  }

  void operator()(const DumpRequested&) {
    for (auto& line : dump(world_, now_)) {
      notes_.push_back({Severity::info, events::kStateDump, "", {{"line", std::move(line)}}});
    }
  }

  void operator()(const LinkSeen& event) {
    if (world_.buried_tuns.contains(event.link.ifindex)) return;
    auto& known = world_.kernel.links;
    const auto before = known.find(event.link.ifindex);
    const bool known_before = before != known.end();
    if (auto* clat = owner_of_tun(world_, event.link.ifindex); clat != nullptr && known_before) {
      // Setting a link down flushes its routes: build both again.
      if (before->second.up && !event.link.up) {
        clat->piece(Part::setup).have.reset();
        clat->piece(Part::route).have.reset();
      }
    }
    if (known_before && before->second.name != event.link.name) {
      if (configured(before->second.name)) tell_link(before->second.name, &before->second, nullptr, notes_);
      known.erase(before);
    }
    if (configured(event.link.name)) {
      const auto again = known.find(event.link.ifindex);
      tell_link(event.link.name, again == known.end() ? nullptr : &again->second, &event.link, notes_);
    }
    known.insert_or_assign(event.link.ifindex, event.link);
    ask_route_of(event.link.ifindex);
  }

  void operator()(const LinkGone& event) {
    if (world_.buried_tuns.erase(event.ifindex) > 0) return;
    if (auto* clat = owner_of_tun(world_, event.ifindex)) lose_tun(*clat);
    const auto link = world_.kernel.links.find(event.ifindex);
    if (link != world_.kernel.links.end()) {
      if (configured(link->second.name)) tell_link(link->second.name, &link->second, nullptr, notes_);
      world_.kernel.links.erase(link);
    }
    world_.kernel.ipv6.erase(event.ifindex);
    world_.kernel.ipv4.erase(event.ifindex);
  }

  void operator()(const Ipv6Seen& event) {
    auto& addresses = world_.kernel.ipv6[event.ifindex];
    const auto known = std::ranges::find(addresses, event.address.address, &Ipv6OnLink::address);
    if (known == addresses.end())
      addresses.push_back(event.address);
    else
      *known = event.address;
    ask_route_of(event.ifindex);
  }

  void operator()(const Ipv6Gone& event) {
    std::erase_if(world_.kernel.ipv6[event.ifindex],
                  [&](const Ipv6OnLink& each) { return each.address == event.address; });
    ask_route_of(event.ifindex);
  }

  void operator()(const Ipv6RoutesChanged&) { ask_all_routes(world_); }

  void operator()(const Ipv4Seen& event) {
    if (world_.buried_tuns.contains(event.ifindex)) return;
    auto& addresses = world_.kernel.ipv4[event.ifindex];
    if (std::ranges::find(addresses, event.address) == addresses.end()) addresses.push_back(event.address);
  }

  void operator()(const Ipv4Gone& event) {
    std::erase(world_.kernel.ipv4[event.ifindex], event.address);
    auto* clat = owner_of_tun(world_, event.ifindex);
    if (clat == nullptr) return;
    const auto& setup = clat->piece(Part::setup).have;
    if (setup && std::get<SetupSpec>(*setup).v4 == event.address) {
      clat->piece(Part::setup).have.reset();
      clat->piece(Part::route).have.reset();
    }
  }

  void operator()(const KernelDumped& event) {
    if (event.overrun) notes_.push_back({Severity::warn, events::kNetlinkResynced, "", {}});
    take_dump(event.kernel);
    verify_all(world_);
    ask_all_routes(world_);
  }

  void operator()(const TrafficControlChanged& event) {
    for (auto& [name, clat] : world_.clats) {
      const auto& fast = clat.piece(Part::fast_path).have;
      if (!fast) continue;
      const auto& spec = std::get<FastPathSpec>(*fast);
      if (spec.uplink_ifindex == event.ifindex || spec.tun_ifindex == event.ifindex) clat.verify = true;
    }
  }

  void operator()(const Done& event) {
    const auto found = world_.clats.find(event.uplink);
    if (found == world_.clats.end()) return;
    auto& clat = found->second;
    auto& piece = clat.piece(event.part);
    if (!piece.in_flight || !piece.target) return;
    const Spec target = *std::exchange(piece.target, std::nullopt);
    piece.in_flight.reset();
    if (event.result) {
      notes_.push_back({Severity::debug,
                        events::kActionDone,
                        event.uplink,
                        {{"action", std::string(name(event.verb))}, {"part", std::string(name(event.part))}}});
    }
    switch (event.verb) {
      case Verb::make:
      case Verb::change:
        if (event.result)
          made(event.uplink, clat, target, *event.result);
        else
          not_made(event.uplink, clat, event.part, event.verb, event.result.error());
        return;
      case Verb::remove:
        if (!event.result) tell_failed_action(event);
        if (event.result || world_.stopping)
          removed(clat, target);
        else
          fail(clat, event.part, event.result.error());
        return;
      case Verb::kill: clat.child.killed = true; return;
      case Verb::verify:
        if (!event.result) fast_path_lost(event.uplink, clat, event.result.error());
        return;
    }
  }

  void operator()(const Purged& event) {
    world_.purging.erase(event.uplink);
    world_.leftovers.erase(event.uplink);
    if (event.result) return;
    notes_.push_back({Severity::error,
                      events::kActionFailed,
                      event.uplink,
                      {{"action", "purge"}, {"reason", event.result.error().text()}, {"next", "clatvisor --cleanup"}}});
  }

  void operator()(const ChildReady& event) {
    auto* clat = parent_of(event.uplink, event.pid);
    if (clat == nullptr) return;
    clat->child.ready = true;
    clat->was_ready = true;
    notes_.push_back({Severity::info,
                      events::kClatReady,
                      event.uplink,
                      {{"pid", std::to_string(event.pid)},
                       {"after", milliseconds_text(now_ - clat->child.started)},
                       {"drained", std::to_string(event.drained)}}});
  }

  void operator()(const ChildExited& event) {
    auto* clat = parent_of(event.uplink, event.pid);
    if (clat == nullptr) return;
    auto& child = clat->child;
    const bool asked = child.kill_at.has_value();
    const auto uptime = now_ - child.started;
    clat->piece(Part::child).have.reset();
    child.pid = 0;
    child.ready = false;
    child.kill_at.reset();
    child.killed = false;
    notes_.push_back({asked ? Severity::info : Severity::warn,
                      events::kClatExited,
                      event.uplink,
                      {{"pid", std::to_string(event.pid)},
                       event.signal != 0 ? std::pair<std::string, std::string>{"signal", signal_name(event.signal)}
                                         : std::pair<std::string, std::string>{"status", std::to_string(event.status)},
                       {"uptime", milliseconds_text(uptime)},
                       {"asked", asked ? "yes" : "no"}}});
    if (asked) return;
    if (uptime >= world_.config->clatd.restart.stable_after) child.backoff.succeed();
    back_off(event.uplink, *clat);
  }

  void operator()(const ChildOutput& event) {
    Note note{Severity::info, events::kChildOutput, event.uplink, {{"pid", std::to_string(event.pid)}}};
    if (event.suppressed != 0) note.fields.emplace_back("suppressed", std::to_string(event.suppressed));
    note.fields.emplace_back("line", event.line);
    notes_.push_back(std::move(note));
  }

  void operator()(const HealthCollected& event) {
    world_.health_deadline.reset();
    for (const auto& [name, clat] : world_.clats) {
      const auto counters = event.by_uplink.find(name);
      notes_.push_back(
          tell_health(world_, name, clat, now_, counters == event.by_uplink.end() ? Counters{} : counters->second));
    }
  }

  void operator()(const LookedUp& event) {
    const auto found = world_.clats.find(event.uplink);
    if (found == world_.clats.end()) return;
    auto& clat = found->second;
    clat.reachable = event.route.has_value();
    if (event.route) clat.route = *event.route;
  }

  void operator()(const Audited& event) {
    if (event.kernel) take_dump(*event.kernel);
    verify_all(world_);
    ask_all_routes(world_);
  }

  void operator()(const Tick&) {}  // time itself is the news: plan() looks at the clock

 private:
  [[nodiscard]] bool configured(const std::string& name) const { return world_.wanted(name) != nullptr; }

  void ask_route_of(int ifindex) {
    const auto link = world_.kernel.links.find(ifindex);
    if (link == world_.kernel.links.end()) return;
    const auto clat = world_.clats.find(link->second.name);
    if (clat != world_.clats.end()) clat->second.ask_route = true;
  }

  void take_dump(const Kernel& kernel) {
    const Kernel before = std::exchange(world_.kernel, kernel);
    world_.kernel_known = true;
    world_.buried_tuns.clear();
    if (world_.config && !world_.stopping) {
      for (const auto& wanted : world_.config->interfaces) {
        tell_link(wanted.name, find(before, wanted.name), world_.link(wanted.name), notes_);
      }
    }
    for (auto& [name, clat] : world_.clats) {
      if (clat.tun != 0 && !world_.kernel.links.contains(clat.tun)) lose_tun(clat);
    }
  }

  static const Link* find(const Kernel& kernel, const std::string& name) {
    const auto found = std::ranges::find_if(kernel.links, [&](const auto& each) { return each.second.name == name; });
    return found == kernel.links.end() ? nullptr : &found->second;
  }

  Clat* parent_of(const std::string& uplink, int pid) {
    const auto found = world_.clats.find(uplink);
    return found == world_.clats.end() || pid == 0 || found->second.child.pid != pid ? nullptr : &found->second;
  }

  void tell_failed_action(const Done& event) {
    notes_.push_back({Severity::error,
                      events::kActionFailed,
                      event.uplink,
                      {{"action", std::string(name(event.verb))},
                       {"part", std::string(name(event.part))},
                       {"reason", event.result.error().text()}}});
  }

  milliseconds fail(Clat& clat, Part part, const Error& error) {
    const auto delay = clat.failures.fail(world_.config->clatd.restart, world_.random);
    clat.failure = Failure{part, error, now_ + delay};
    return delay;
  }

  void back_off(const std::string& uplink, Clat& clat) {
    auto& child = clat.child;
    const auto delay = child.backoff.fail(world_.config->clatd.restart, world_.random);
    child.not_before = now_ + delay;
    notes_.push_back({Severity::info,
                      events::kClatBackoff,
                      uplink,
                      {{"delay", milliseconds_text(delay)},
                       {"failures", std::to_string(child.backoff.failures)},
                       {"next", "clatd is started again"}}});
    constexpr unsigned kFlapping = 5;
    if (child.backoff.failures != kFlapping) return;
    notes_.push_back({Severity::warn,
                      events::kClatFlapping,
                      uplink,
                      {{"failures", std::to_string(kFlapping)},
                       {"next", "it is still started again, at most every " +
                                    milliseconds_text(world_.config->clatd.restart.max)}}});
  }

  void made(const std::string& uplink, Clat& clat, const Spec& target, const Made& result) {
    const Part part = part_of(target);
    const bool first = !clat.piece(part).have;
    clat.piece(part).have = target;
    if (clat.failure && clat.failure->part == part) {
      clat.failure.reset();
      clat.failures.succeed();
    }
    if (part == Part::tun) {
      clat.tun = result.ifindex;
      if (clat.adopt) {
        notes_.push_back({Severity::info,
                          events::kSupervisorAdopted,
                          uplink,
                          {{"tun", std::get<TunSpec>(target).name},
                           {"v4", clat.addresses->v4.text()},
                           {"v6", clat.addresses->v6.text()}}});
      }
    }
    if (part == Part::child) child_started(uplink, clat, result.pid);
    if (part == Part::fast_path && first) fast_path_attached(uplink, clat, result.detail);
  }

  void child_started(const std::string& uplink, Clat& clat, int pid) {
    auto& child = clat.child;
    if (child.started != TimePoint{}) ++child.restarts;
    child.pid = pid;
    child.ready = false;
    child.started = now_;
    child.not_before.reset();
    notes_.push_back({Severity::info,
                      events::kClatSpawned,
                      uplink,
                      {{"pid", std::to_string(pid)}, {"restarts", std::to_string(child.restarts)}}});
  }

  void fast_path_attached(const std::string& uplink, Clat& clat, const std::string& kind) {
    clat.fast_path_kind = kind;
    clat.fast_path_error.reset();
    clat.fast_path_backoff.succeed();
    notes_.push_back({Severity::info, events::kFastpathAttached, uplink, {{"kind", kind}}});
    if (std::exchange(clat.fast_path_was_lost, false)) {
      notes_.push_back({Severity::info, events::kFastpathRestored, uplink, {{"kind", kind}}});
    }
  }

  void fast_path_lost(const std::string& uplink, Clat& clat, const Error& error) {
    clat.piece(Part::fast_path).have.reset();
    clat.fast_path_kind.clear();
    clat.fast_path_was_lost = true;
    notes_.push_back(
        {Severity::warn, events::kFastpathLost, uplink, {{"reason", error.text()}, {"next", "it is attached again"}}});
  }

  void not_made(const std::string& uplink, Clat& clat, Part part, Verb verb, const Error& error) {
    const auto* wanted = world_.wanted(uplink);
    const bool optional = wanted != nullptr && wanted->fast_path == config::FastPathMode::automatic;
    if (part == Part::fast_path && verb == Verb::make && optional) {
      fast_path_unavailable(uplink, clat, error);
      return;
    }
    if (part == Part::child) {
      notes_.push_back({Severity::error,
                        events::kActionFailed,
                        uplink,
                        {{"action", "make"}, {"part", "child"}, {"reason", error.text()}}});
      back_off(uplink, clat);
      return;
    }
    if (part == Part::announce && error.code == EPERM && wanted != nullptr && leg_of(*wanted, clat) == Leg::routed) {
      const bool told = clat.failure && clat.failure->part == part;
      const auto delay = fail(clat, part, error);
      if (!told)
        notes_.push_back({Severity::error,
                          events::kForwardingOff,
                          uplink,
                          {{"reason", error.text()},
                           {"next", "sysctl -w net.ipv6.conf.all.forwarding=1; it is tried again"},
                           {"retry_in", milliseconds_text(delay)}}});
      return;
    }
    const bool told = clat.failure && clat.failure->part == part && clat.failure->error == error;
    const auto delay = fail(clat, part, error);
    notes_.push_back({told ? Severity::debug : Severity::error,
                      told ? events::kActionFailed : events::kClatFailed,
                      uplink,
                      {{"action", std::string(name(verb))},
                       {"part", std::string(name(part))},
                       {"reason", error.text()},
                       {"retry_in", milliseconds_text(delay)}}});
  }

  // The slow path carries the traffic; what was said once is not said again.
  void fast_path_unavailable(const std::string& uplink, Clat& clat, const Error& error) {
    constexpr config::Restart kRetry{.initial = std::chrono::seconds(1), .max = std::chrono::minutes(5)};
    clat.fast_path_retry_at = now_ + clat.fast_path_backoff.fail(kRetry, world_.random);
    const bool told = clat.fast_path_error && clat.fast_path_error->code == error.code;
    clat.fast_path_error = error;
    if (told) return;
    notes_.push_back({Severity::warn,
                      events::kFastpathUnavailable,
                      uplink,
                      {{"reason", error.text()}, {"next", "the routed leg carries the traffic; it is tried again"}}});
  }

  void removed(Clat& clat, const Spec& target) {
    const Part part = part_of(target);
    auto& piece = clat.piece(part);
    if (clat.failure && clat.failure->part == part) clat.failure.reset();
    switch (part) {
      case Part::child: clat.child.kill_at = now_ + world_.config->clatd.stop_timeout; return;
      case Part::tun:
        world_.buried_tuns.insert(clat.tun);
        world_.kernel.links.erase(clat.tun);
        world_.kernel.ipv4.erase(clat.tun);
        world_.kernel.ipv6.erase(clat.tun);
        lose_tun(clat);
        return;
      case Part::guard:
        std::erase_if(clat.retired,
                      [&](const RetiredGuard& each) { return each.guard == std::get<GuardSpec>(target); });
        if (piece.have == target) piece.have.reset();
        return;
      case Part::fast_path: clat.fast_path_kind.clear(); break;
      case Part::record:
      case Part::setup:
      case Part::announce:
      case Part::route: break;
    }
    piece.have.reset();
  }

  World& world_;
  TimePoint now_;
  Notes& notes_;
};

}  // namespace

std::vector<Note> apply(World& world, const Event& event, TimePoint now) {
  Notes notes;
  std::visit(Applier(world, now, notes), event);
  settle(world, now, notes);
  return notes;
}

void begin(World& world, const Action& action, TimePoint now) {
  if (const auto* part = std::get_if<PartAction>(&action)) {
    auto& clat = world.clats.at(part->uplink);
    auto& piece = clat.piece(part_of(part->spec));
    piece.in_flight = part->verb;
    piece.target = part->spec;
    if (part->verb == Verb::verify) clat.verify = false;
  } else if (const auto* purge = std::get_if<Purge>(&action)) {
    world.purging.insert(purge->record.uplink);
  } else if (const auto* look_up = std::get_if<LookUpRoute>(&action)) {
    world.clats.at(look_up->uplink).ask_route = false;
  } else if (std::holds_alternative<Audit>(action)) {
    world.audit_due = now + world.config->audit_interval;
  } else if (const auto* health = std::get_if<CollectHealth>(&action); health != nullptr && !health->overdue) {
    constexpr milliseconds kPatience{250};
    world.health_deadline = now + kPatience;
    world.health_due =
        std::max(world.health_due, now - world.config->log.health_interval) + world.config->log.health_interval;
  }
}

}  // namespace clat::plan
