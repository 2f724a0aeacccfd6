#include <algorithm>
#include <tuple>
#include <utility>

#include "supervisor/plan/applier.hpp"
#include "supervisor/plan/plan.hpp"
#include "supervisor/plan/settle.hpp"
#include "supervisor/plan/status.hpp"

namespace clat::plan {

namespace {

// Counters of a clatd that takes longer are those that it told before.
constexpr milliseconds kHealthPatience{250};
constexpr milliseconds kStatusPatience{100};

notice::ConfigLoaded::Changes changes(const config::Config& before, const config::Config& now) {
  notice::ConfigLoaded::Changes names;
  for (const auto& each : now.interfaces) {
    const auto* old = before.find(each.name);
    if (old == nullptr)
      names.added.push_back(each.name);
    else if (*old != each)
      names.changed.push_back(each.name);
  }
  for (const auto& each : before.interfaces) {
    if (now.find(each.name) == nullptr) names.removed.push_back(each.name);
  }
  return names;
}

// Whether the way to the NAT64 may be another one.
bool leads_elsewhere(const config::Interface& before, const config::Interface& now) {
  const auto question = [](const config::Interface& each) {
    return std::tie(each.nat64_prefix, each.mark, each.ipv6_address, each.ipv6_source);
  };
  return question(before) != question(now);
}

}  // namespace

void Applier::operator()(const ConfigLoaded& event) {
  const auto before = world_.config;
  const auto interfaces = world_.interfaces();
  world_.use(event.config);
  if (!before || before->log.health_interval != event.config->log.health_interval) {
    world_.health_due = now_ + event.config->log.health_interval;
  }
  if (!before || before->audit_interval != event.config->audit_interval) {
    world_.audit_due = now_ + event.config->audit_interval;
  }
  for (auto& [name, clat] : world_.clats) {
    // New settings are a new chance for what failed with the old ones.
    for (auto& piece : clat.pieces) piece.retry.hurry(now_);
    clat.fast_path.hurry(now_);
    clat.bpf_filter.hurry(now_);
    clat.route_question.hurry(now_);
    clat.child.refused.reset();
    if (std::exchange(clat.presence.contested, false) && clat.presence.phase == Presence::Phase::disputed) {
      clat.presence.test();
    }
    const auto old = interfaces.find(name);
    const auto* now = world_.wanted(name);
    if (old == interfaces.end() || now == nullptr || leads_elsewhere(old->second.wanted, *now)) clat.ask_route = true;
  }
  if (before)
    ++world_.reloads;
  else
    world_.started = now_;
  world_.shortcut.retry.hurry(now_);
  world_.config_file = event.file;
  world_.refused.reset();
  tell(notice::ConfigLoaded{event.file, event.config->interfaces.size(),
                            before ? std::optional(changes(*before, *event.config)) : std::nullopt});
}

void Applier::operator()(const ConfigRejected& event) {
  world_.refused = event;
  tell(event);
}

void Applier::operator()(const RecordsFound& event) {
  for (const auto& record : event.records) {
    world_.leftovers.insert_or_assign(record.uplink, Leftover{.record = record});
    if (record.metric) world_.metrics.insert_or_assign(record.uplink_ifindex, *record.metric);
  }
}

void Applier::operator()(const StopRequested& event) {
  if (world_.stopping) return;
  world_.stopping = true;
  // What could not be removed before is tried at once.
  for (auto& [name, clat] : world_.clats) {
    for (auto& piece : clat.pieces) piece.retry.succeed();
    clat.hooks.stop(now_);
  }
  for (auto& [name, leftover] : world_.leftovers) {
    leftover.retry.succeed();
  }
  tell(notice::SupervisorStopping{event.signal});
}

void Applier::operator()(const HandoverRequested&) {
  if (world_.stopping) return;
  world_.handover = true;
  tell(notice::SupervisorHandover{});
}

void Applier::operator()(const DumpRequested&) { tell(notice::StateDump{status(world_, now_)}); }

void Applier::operator()(const StatusAsked&) {
  world_.status_asked = true;
  // What is being collected for the log is as good, but the log has more time.
  if (world_.health_deadline) world_.health_deadline = std::min(*world_.health_deadline, now_ + kStatusPatience);
}

void Applier::operator()(const PingEnded& event) {
  const auto found = world_.clats.find(event.uplink);
  if (found != world_.clats.end()) found->second.probing.end(event.nonce, event.result);
}

void Applier::operator()(const HealthCollected& event) {
  world_.health_deadline.reset();
  world_.status_asked = false;
  const bool wanted = std::exchange(world_.health_wanted, false);
  for (auto& [name, clat] : world_.clats) {
    const auto counters = event.by_uplink.find(name);
    clat.samples.take(counters == event.by_uplink.end() ? Counters{} : counters->second, now_);
    if (wanted) tell(name, notice::Health{status_of(world_, name, clat, now_)});
  }
}

namespace {

// RFC 4861 §6.3.7 and RFC 7559: again, later each time, until a router is heard.
constexpr config::Restart kSolicitation{
    .initial = std::chrono::seconds(4), .max = std::chrono::hours(1), .factor = 2, .jitter = 0.1};

// Into `scope`, what an event may have moved.
struct Reach {
  Scope& scope;

  void operator()(const Done& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const LookedUp& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const Nat64Answer& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const Sent& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const ShortcutServed&) const {}
  void operator()(const PingEnded& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const RouterHeard& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const AddressContested& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const NeighboursFlood&) const {}
  void operator()(const NextHopSeen& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const ChildReady& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const ChildAnswered& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const ChildMute& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const ChildExited& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const HookStarted& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const HookExited& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const HookOutput&) const {}
  // Those whose time has come are known to who sent it.
  void operator()(const Tick&) const {}
  void operator()(const ChildOutput&) const {}
  void operator()(const ConfigRejected&) const {}
  void operator()(const DumpRequested&) const {}
  void operator()(const StatusAsked&) const {}
  void operator()(const RestartAsked& event) const { scope.uplinks.insert(event.uplink); }
  void operator()(const HealthCollected&) const {}
  void operator()(const auto&) const { scope.all = true; }
};

}  // namespace

std::vector<Notice> apply(World& world, std::span<const Event> events, TimePoint now, Scope& scope) {
  std::vector<Notice> notices;
  Applier applier(world, now, notices);
  for (const auto& event : events) {
    std::visit(applier, event);
    std::visit(Reach{scope}, event);
  }
  settle(world, scope, now, notices);
  return notices;
}

void begin(World& world, const Action& action, TimePoint now) {
  if (const auto* part = std::get_if<PartAction>(&action)) {
    auto& clat = world.clats.at(part->uplink);
    clat.under_way = UnderWay{part->verb, part->spec};
    if (part->verb == Verb::verify) clat.piece(part_of(part->spec)).verify = false;
  } else if (const auto* purge = std::get_if<Purge>(&action)) {
    world.leftovers.at(purge->record.uplink).purging = true;
  } else if (const auto* look_up = std::get_if<LookUpRoute>(&action)) {
    auto& clat = world.clats.at(look_up->uplink);
    clat.ask_route = false;
    clat.asking_route = true;
  } else if (const auto* know = std::get_if<KnowSubnets>(&action)) {
    world.subnets_told = know->subnets;
  } else if (const auto* serve = std::get_if<ServeShortcut>(&action)) {
    world.shortcut.told = serve->spec;
  } else if (const auto* question = std::get_if<Nat64Question>(&action)) {
    world.clats.at(question->uplink).ask_dns_at.reset();
  } else if (const auto* solicit = std::get_if<Solicit>(&action)) {
    auto& solicitation = world.clats.at(solicit->uplink).solicitation;
    solicitation.fail(solicitation.backoff.fail(kSolicitation, world.random), now, {});
  } else if (const auto* advertise = std::get_if<Advertise>(&action)) {
    auto& presence = world.clats.at(advertise->uplink).presence;
    presence.advertise_at = --presence.advertisements > 0 ? std::optional(now + kRetransTimer) : std::nullopt;
  } else if (const auto* probe = std::get_if<Probe>(&action)) {
    auto& presence = world.clats.at(probe->uplink).presence;
    presence.phase = Presence::Phase::asked;
    presence.ours_at = now + kRetransTimer;
  } else if (const auto* ping = std::get_if<Ping>(&action)) {
    world.clats.at(ping->uplink).probing.begin(now);
  } else if (const auto* ask = std::get_if<AskRouters>(&action)) {
    auto& again = world.clats.at(ask->uplink).dead_routers.question;
    again.fail(again.backoff.fail(kAskRouters, world.random), now, {});
  } else if (const auto* run = std::get_if<RunHook>(&action)) {
    world.clats.at(run->uplink).hooks.begin(run->call, now);
  } else if (const auto* signal = std::get_if<SignalHook>(&action)) {
    world.clats.at(signal->uplink).hooks.signalled(now);
  } else if (std::holds_alternative<Audit>(action)) {
    world.audit_due = now + world.config->audit_interval;
    for (auto& [name, clat] : world.clats) {
      if (clat.child.process.has_control) clat.child.process.expect_answer(now);
    }
  } else if (const auto* health = std::get_if<CollectHealth>(&action); health != nullptr && !health->overdue) {
    world.health_deadline = now + (world.status_asked ? kStatusPatience : kHealthPatience);
    if (world.health_due > now) return;
    world.health_wanted = true;
    world.health_due =
        std::max(world.health_due, now - world.config->log.health_interval) + world.config->log.health_interval;
  }
}

}  // namespace clat::plan
