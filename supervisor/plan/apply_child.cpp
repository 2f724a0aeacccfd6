#include <utility>

#include "supervisor/log/catalogue.hpp"
#include "supervisor/plan/applier.hpp"
#include "supervisor/plan/tell.hpp"

namespace clat::plan {

namespace {

// Of the bundled clatd, after sysexits.h. Android's gives other codes.
constexpr int kBadArguments = 64;

std::string_view meaning_of(int status) {
  switch (status) {
    case 0: return "done";
    case kBadArguments: return "bad arguments";
    case 71: return "a system call failed";
    default: return "unknown";
  }
}

Note tell_exit(const ChildExited& event, std::chrono::steady_clock::duration uptime, bool asked) {
  Note note{
      asked ? Severity::info : Severity::warn, events::kClatExited, event.uplink, {{"pid", std::to_string(event.pid)}}};
  if (event.signal != 0) {
    note.fields.emplace_back("signal", signal_name(event.signal));
  } else {
    note.fields.emplace_back("status", std::to_string(event.status));
    note.fields.emplace_back("meaning", meaning_of(event.status));
  }
  note.fields.emplace_back("uptime", milliseconds_text(uptime));
  note.fields.emplace_back("asked", asked ? "yes" : "no");
  return note;
}

}  // namespace

void Applier::operator()(const ChildReady& event) {
  auto* clat = parent_of(event.uplink, event.pid);
  if (clat == nullptr) return;
  clat->child.process.ready = true;
  clat->child.process.heard();
  clat->was_ready = true;
  notes_.push_back({Severity::info,
                    events::kClatReady,
                    event.uplink,
                    {{"pid", std::to_string(event.pid)},
                     {"after", milliseconds_text(now_ - clat->child.process.started)},
                     {"drained", std::to_string(event.drained)}}});
}

void Applier::operator()(const ChildAnswered& event) {
  if (auto* clat = parent_of(event.uplink, event.pid)) clat->child.process.heard();
}

void Applier::operator()(const ChildMute& event) {
  if (auto* clat = parent_of(event.uplink, event.pid)) fall_silent(clat->child.process, event.reason);
}

void Applier::fall_silent(Process& process, const std::string& reason) {
  process.mute = reason;
  process.answer_by = now_;
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

void Applier::child_told_to_stop(const std::string& uplink, Process& process) {
  process.kill_at = now_ + world_.config->clatd.stop_timeout;
  if (!process.has_control) {
    say_as_netd(uplink, "Stopping clatd pid=" + std::to_string(process.pid) + " on " + uplink);
  }
}

// The words of Android's netd, for who reads its log.
void Applier::say_as_netd(const std::string& uplink, std::string line) {
  notes_.push_back({Severity::info, events::kNetdLine, uplink, {{"line", std::move(line)}}});
}

void Applier::operator()(const ChildExited& event) {
  auto* clat = parent_of(event.uplink, event.pid);
  if (clat == nullptr) return;
  auto& child = clat->child;
  const Process process = std::exchange(child.process, {});
  const auto spec = std::exchange(clat->piece(Part::child).have, std::nullopt);
  const bool asked = process.kill_at.has_value();
  const auto uptime = now_ - process.started;
  notes_.push_back(tell_exit(event, uptime, asked));
  const std::string end = event.signal != 0 ? signal_name(event.signal) : "status " + std::to_string(event.status);
  if (!process.has_control) say_as_netd(event.uplink, "clatd on " + event.uplink + " stopped");
  if (asked && process.condemned.empty()) return;
  if (uptime >= world_.config->clatd.restart.stable_after) child.backoff.succeed();
  if (process.has_control && event.signal == 0 && event.status == kBadArguments) {
    child.refused = spec;
    child.last_end = end;
    notes_.push_back({Severity::error,
                      events::kClatFailed,
                      event.uplink,
                      {{"part", "child"},
                       {"reason", "clatd refused its arguments"},
                       {"next", "it is started again with other arguments, or after a reload"}}});
    return;
  }
  back_off(event.uplink, child, process.condemned.empty() ? end : process.condemned);
}

void Applier::operator()(const ChildOutput& event) {
  Note note{Severity::info, events::kChildOutput, event.uplink, {{"pid", std::to_string(event.pid)}}};
  if (event.suppressed != 0) note.fields.emplace_back("suppressed", std::to_string(event.suppressed));
  note.fields.emplace_back("line", event.line);
  notes_.push_back(std::move(note));
}

Clat* Applier::parent_of(const std::string& uplink, int pid) {
  const auto found = world_.clats.find(uplink);
  return found == world_.clats.end() || pid == 0 || found->second.child.process.pid != pid ? nullptr : &found->second;
}

void Applier::back_off(const std::string& uplink, Child& child, std::string end) {
  const auto delay = child.backoff.fail(world_.config->clatd.restart, world_.random);
  const bool flapped = child.is_flapping(now_);
  child.not_before = now_ + delay;
  if (child.ends.size() == kFlappingEnds) child.ends.erase(child.ends.begin());
  child.ends.push_back(now_);
  child.last_end = std::move(end);
  notes_.push_back({Severity::info,
                    events::kClatBackoff,
                    uplink,
                    {{"delay", milliseconds_text(delay)},
                     {"failures", std::to_string(child.backoff.failures)},
                     {"reason", child.last_end},
                     {"next", "clatd is started again"}}});
  if (flapped || !child.is_flapping(now_)) return;
  notes_.push_back(
      {Severity::warn,
       events::kClatFlapping,
       uplink,
       {{"failures", std::to_string(kFlappingEnds)},
        {"within", milliseconds_text(now_ - child.ends.front())},
        {"reason", child.last_end},
        {"next", "it is still started again, at most every " + milliseconds_text(world_.config->clatd.restart.max)}}});
}

}  // namespace clat::plan
