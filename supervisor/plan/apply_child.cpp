#include <utility>

#include "supervisor/plan/applier.hpp"

namespace clat::plan {

namespace {

// Of the bundled clatd, after sysexits.h. Android's gives other codes.
constexpr int kBadArguments = 64;

}  // namespace

void Applier::operator()(const ChildReady& event) {
  auto* clat = parent_of(event.uplink, event.pid);
  if (clat == nullptr) return;
  clat->child.process.get_ready();
  clat->was_ready = true;
  tell(event.uplink, notice::ClatReady{event.pid, whole(now_ - clat->child.process.started), event.drained});
}

void Applier::operator()(const ChildAnswered& event) {
  if (auto* clat = parent_of(event.uplink, event.pid)) clat->child.process.heard();
}

void Applier::operator()(const ChildMute& event) {
  if (auto* clat = parent_of(event.uplink, event.pid)) clat->child.process.fall_silent(event.reason, now_);
}

void Applier::operator()(const RestartAsked& event) {
  const auto found = world_.clats.find(event.uplink);
  if (found == world_.clats.end()) return;
  auto& child = found->second.child;
  child.refused.reset();
  child.start.hurry(now_);
  if (child.process.condemn({Condemned::By::request})) {
    tell(event.uplink, notice::ClatReplaced{child.process.pid, *child.process.condemned});
  }
}

// A queue that keeps its packets from one audit to the next, with none read between, is one that nobody empties.
void Applier::look_at_queue(const std::string& uplink, const TunQueue& queue) {
  const auto found = world_.clats.find(uplink);
  if (found == world_.clats.end() || found->second.child.process.has_control) return;
  auto& process = found->second.child.process;
  const bool stuck = queue.waiting && queue.packets_read == process.packets_read;
  process.packets_read = queue.waiting ? std::optional(queue.packets_read) : std::nullopt;
  if (stuck)
    process.expect_answer(now_);
  else
    process.heard();
}

void Applier::child_told_to_stop(const std::string& uplink, Process& process, milliseconds patience) {
  process.stop(now_, patience);
  if (!process.has_control) tell(uplink, notice::NetdStopping{process.pid});
}

void Applier::operator()(const ChildExited& event) {
  auto* clat = parent_of(event.uplink, event.pid);
  if (clat == nullptr) return;
  auto& child = clat->child;
  const Process process = std::exchange(child.process, {});
  const auto spec = clat->piece(Part::child).have;
  clat->piece(Part::child).forget();
  const bool asked = process.told_to_stop();
  const auto uptime = now_ - process.started;
  const auto end = event.signal != 0 ? std::variant<Exited, Killed>(Killed{event.signal}) : Exited{event.status};
  tell(event.uplink, notice::ClatExited{event.pid, end, whole(uptime), asked});
  if (!process.has_control) tell(event.uplink, notice::NetdStopped{});
  if (asked && (!process.condemned || process.condemned->by == Condemned::By::request)) return;
  if (uptime >= world_.config->clatd.restart.stable_after) child.start.succeed();
  if (process.has_control && event.signal == 0 && event.status == kBadArguments) {
    child.refused = spec;
    child.last_end = Exited{event.status};
    tell(event.uplink, notice::ClatRefusedArguments{});
    return;
  }
  back_off(
      event.uplink, child,
      process.condemned ? Ending(*process.condemned) : std::visit([](const auto& each) { return Ending(each); }, end));
}

void Applier::operator()(const ChildOutput& event) { tell(event.uplink, event); }

Clat* Applier::parent_of(const std::string& uplink, int pid) {
  const auto found = world_.clats.find(uplink);
  return found == world_.clats.end() || pid == 0 || found->second.child.process.pid != pid ? nullptr : &found->second;
}

void Applier::back_off(const std::string& uplink, Child& child, Ending end) {
  const bool flapped = child.is_flapping(now_);
  const auto delay = child.start.backoff.fail(world_.config->clatd.restart, world_.random);
  child.start.at = now_ + delay;
  if (child.ends.size() == kFlappingEnds) child.ends.erase(child.ends.begin());
  child.ends.push_back(now_);
  child.last_end = std::move(end);
  tell(uplink, notice::ClatBackoff{delay, child.start.backoff.failures, *child.last_end});
  if (flapped || !child.is_flapping(now_)) return;
  tell(uplink, notice::ClatFlapping{kFlappingEnds, whole(now_ - child.ends.front()), *child.last_end,
                                    world_.config->clatd.restart.max});
}

}  // namespace clat::plan
