#include <algorithm>
#include <utility>

#include "supervisor/log/catalogue.hpp"
#include "supervisor/plan/applier.hpp"
#include "supervisor/plan/plan.hpp"
#include "supervisor/plan/settle.hpp"
#include "supervisor/plan/tell.hpp"

namespace clat::plan {

void Applier::operator()(const ConfigLoaded& event) {
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
    for (auto& piece : clat.pieces) {
      if (piece.failure) piece.failure->retry_at = now_;
    }
    clat.fast_path_retry_at = now_;
    const auto* old = before ? before->find(name) : nullptr;
    const auto* now = event.config->find(name);
    if (old == nullptr || now == nullptr || old->nat64_prefix != now->nat64_prefix) clat.ask_route = true;
  }
  notes_.push_back(tell_config(before.get(), *event.config, event.file));
}

void Applier::operator()(const ConfigRejected& event) {
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

void Applier::operator()(const RecordsFound& event) {
  for (const auto& record : event.records) world_.leftovers.insert_or_assign(record.uplink, Leftover{.record = record});
}

void Applier::operator()(const StopRequested& event) {
  if (world_.stopping) return;
  world_.stopping = true;
  notes_.push_back({Severity::info, events::kSupervisorStopping, "", {{"signal", signal_name(event.signal)}}});
}

void Applier::operator()(const HandoverRequested&) {
  if (world_.stopping) return;
  world_.handover = true;
  notes_.push_back({Severity::info, events::kSupervisorHandover, "", {{"next", "a successor takes over"}}});
}

void Applier::operator()(const DumpRequested&) {
  for (auto& line : dump(world_, now_)) {
    notes_.push_back({Severity::info, events::kStateDump, "", {{"line", std::move(line)}}});
  }
}

void Applier::operator()(const ChildReady& event) {
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

void Applier::operator()(const ChildExited& event) {
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

void Applier::operator()(const ChildOutput& event) {
  Note note{Severity::info, events::kChildOutput, event.uplink, {{"pid", std::to_string(event.pid)}}};
  if (event.suppressed != 0) note.fields.emplace_back("suppressed", std::to_string(event.suppressed));
  note.fields.emplace_back("line", event.line);
  notes_.push_back(std::move(note));
}

void Applier::operator()(const HealthCollected& event) {
  world_.health_deadline.reset();
  for (const auto& [name, clat] : world_.clats) {
    const auto counters = event.by_uplink.find(name);
    notes_.push_back(
        tell_health(world_, name, clat, now_, counters == event.by_uplink.end() ? Counters{} : counters->second));
  }
}

Clat* Applier::parent_of(const std::string& uplink, int pid) {
  const auto found = world_.clats.find(uplink);
  return found == world_.clats.end() || pid == 0 || found->second.child.pid != pid ? nullptr : &found->second;
}

void Applier::back_off(const std::string& uplink, Clat& clat) {
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
  notes_.push_back(
      {Severity::warn,
       events::kClatFlapping,
       uplink,
       {{"failures", std::to_string(kFlapping)},
        {"next", "it is still started again, at most every " + milliseconds_text(world_.config->clatd.restart.max)}}});
}

std::vector<Note> apply(World& world, const Event& event, TimePoint now) {
  std::vector<Note> notes;
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
    if (part->verb == Verb::verify) piece.verify = false;
  } else if (const auto* purge = std::get_if<Purge>(&action)) {
    world.leftovers.at(purge->record.uplink).purging = true;
  } else if (const auto* look_up = std::get_if<LookUpRoute>(&action)) {
    auto& clat = world.clats.at(look_up->uplink);
    clat.ask_route = false;
    clat.asking_route = true;
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
