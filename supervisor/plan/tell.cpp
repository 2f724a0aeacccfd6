#include "supervisor/plan/tell.hpp"

#include <algorithm>
#include <cstring>

#include "supervisor/log/catalogue.hpp"
#include "supervisor/plan/plan.hpp"

namespace clat::plan {

namespace {

std::string join(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ",") + word;
  return all;
}

std::string indexed(int ifindex, const std::string& name) { return std::to_string(ifindex) + "[" + name + "]"; }

// " clatd=backoff pid=0 restarts=2 next_start_in=200ms last_end=SIGKILL"
std::string child_line(const World& world, const Clat& clat, TimePoint now) {
  const auto& child = clat.child;
  std::string line = " clatd=" + std::string(name(child_state(world, clat, now)));
  line += " pid=" + std::to_string(child.process.pid) + " restarts=" + std::to_string(child.restarts());
  if (child.not_before) line += " next_start_in=" + milliseconds_text(*child.not_before - now);
  if (child.is_flapping(now)) {
    line += " ends=" + std::to_string(child.ends.size()) + " within=" + milliseconds_text(now - child.ends.front());
  }
  if (!child.last_end.empty()) line += " last_end=" + child.last_end;
  return line;
}

}  // namespace

std::string_view name(State state) {
  switch (state) {
    case State::waiting: return "waiting";
    case State::starting: return "starting";
    case State::up: return "up";
    case State::backoff: return "backoff";
    case State::failed: return "failed";
    case State::stopping: return "stopping";
  }
  return "?";
}

std::string_view name(ChildState state) {
  switch (state) {
    case ChildState::none: return "none";
    case ChildState::starting: return "starting";
    case ChildState::running: return "running";
    case ChildState::stopping: return "stopping";
    case ChildState::backoff: return "backoff";
    case ChildState::flapping: return "flapping";
    case ChildState::failed: return "failed";
  }
  return "?";
}

std::string signal_name(int signal) {
  const char* abbreviation = sigabbrev_np(signal);
  return abbreviation != nullptr ? std::string("SIG") + abbreviation : std::to_string(signal);
}

std::string milliseconds_text(std::chrono::steady_clock::duration time) {
  return std::to_string(std::chrono::duration_cast<milliseconds>(time).count()) + "ms";
}

std::string starting_clatd(const ChildSpec& child) {
  return "starting clatd on " + child.uplink + " v4=" + child.v4.text() + " v6=" + child.v6.text() +
         " pfx96=" + child.prefix.address().text();
}

Note tell_config(const config::Config* before, const config::Config& now, const std::string& file) {
  Note note{Severity::info, events::kConfigLoaded, "", {{"file", file}}};
  note.fields.emplace_back("interfaces", std::to_string(now.interfaces.size()));
  if (before == nullptr) return note;
  std::vector<std::string> added;
  std::vector<std::string> changed;
  std::vector<std::string> removed;
  for (const auto& each : now.interfaces) {
    const auto* old = before->find(each.name);
    if (old == nullptr)
      added.push_back(each.name);
    else if (*old != each)
      changed.push_back(each.name);
  }
  for (const auto& each : before->interfaces) {
    if (now.find(each.name) == nullptr) removed.push_back(each.name);
  }
  note.fields.emplace_back("added", join(added));
  note.fields.emplace_back("changed", join(changed));
  note.fields.emplace_back("removed", join(removed));
  return note;
}

Note tell_health(const World& world, const std::string& name, const Clat& clat, TimePoint now,
                 const Counters& counters) {
  Note note{Severity::info, events::kHealth, name, {}};
  const auto say = [&note](std::string key, std::string value) {
    note.fields.emplace_back(std::move(key), std::move(value));
  };
  say("state", std::string(plan::name(state_of(world, name, clat))));
  if (clat.obstacle)
    say("reason", clat.obstacle->why);
  else if (const auto* failure = clat.failure())
    say("reason", failure->error.text());
  say("pid", std::to_string(clat.child.process.pid));
  say("uptime", milliseconds_text(clat.up_since ? now - *clat.up_since : std::chrono::steady_clock::duration{}));
  say("clatd", std::string(plan::name(child_state(world, clat, now))));
  if (!clat.child.last_end.empty()) say("last_end", clat.child.last_end);
  say("restarts", std::to_string(clat.child.restarts()));
  say("fast_path", clat.fast_path_kind.empty() ? "none" : clat.fast_path_kind);
  for (const auto& [key, value] : counters) say(key, std::to_string(value));
  return note;
}

State state_of(const World& world, const std::string& uplink, const Clat& clat) {
  if (world.wanted(uplink) == nullptr) return State::stopping;
  if (clat.obstacle) return clat.obstacle->failed ? State::failed : State::waiting;
  if (clat.failure() != nullptr) return State::failed;
  if (clat.child.refused && clat.child.process.pid == 0) return State::failed;
  if (clat.child.not_before && clat.child.process.pid == 0) return State::backoff;
  return clat.up ? State::up : State::starting;
}

ChildState child_state(const World& world, const Clat& clat, TimePoint now) {
  const auto& child = clat.child;
  const auto& process = child.process;
  if (process.pid == 0) {
    if (child.refused) return ChildState::failed;
    if (!child.not_before) return ChildState::none;
    return child.is_flapping(now) ? ChildState::flapping : ChildState::backoff;
  }
  if (process.kill_at || !process.condemned.empty()) return ChildState::stopping;
  if (!process.ready) return ChildState::starting;
  const bool stable = now - process.started >= world.config->clatd.restart.stable_after;
  return child.is_flapping(now) && !stable ? ChildState::flapping : ChildState::running;
}

std::vector<std::string> dump(const World& world, TimePoint now) {
  std::vector<std::string> lines;
  lines.push_back("Trackers: iif[iface] nat64Prefix v6Addr -> v4Addr v4iif[v4iface] [netId]");
  for (const auto& [name, clat] : world.clats) {
    const auto* wanted = world.wanted(name);
    const auto* link = world.link(name);
    if (wanted == nullptr || !clat.addresses || clat.tun == 0) continue;
    lines.push_back("  " + indexed(link == nullptr ? 0 : link->ifindex, name) + " " + wanted->nat64_prefix.text() +
                    " " + clat.addresses->v6.text() + " -> " + clat.addresses->v4.text() + " " +
                    indexed(clat.tun, config::tun_name(name)) + " [" + std::to_string(wanted->net_id) + "]");
  }
  for (const auto& [name, clat] : world.clats) {
    std::string line = name + ": state=" + std::string(plan::name(state_of(world, name, clat)));
    line += child_line(world, clat, now);
    line += " fast_path=" + (clat.fast_path_kind.empty() ? std::string("none") : clat.fast_path_kind);
    if (clat.obstacle) line += " waiting_for=" + clat.obstacle->why;
    if (const auto* failure = clat.failure()) {
      const auto left = std::max(failure->retry_at - now, TimePoint::duration::zero());
      line += " failure=" + failure->error.text() + " retry_in=" + milliseconds_text(left);
    }
    for (std::size_t i = 0; i < kParts; ++i) {
      if (clat.pieces[i].stands()) line += " +" + std::string(model::name(static_cast<Part>(i)));
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace clat::plan
