#include <utility>

#include "supervisor/plan/applier.hpp"

namespace clat::plan {

Hooks* Applier::hooks_of(const std::string& uplink, int pid) {
  const auto found = world_.clats.find(uplink);
  return found == world_.clats.end() || found->second.hooks.pid != pid ? nullptr : &found->second.hooks;
}

void Applier::operator()(const HookStarted& event) {
  auto* hooks = hooks_of(event.uplink, 0);
  if (hooks == nullptr) return;
  if (event.pid)
    hooks->run(*event.pid);
  else
    hook_ended(event.uplink, *hooks, NeverStarted{event.pid.error()}, event.refused);
}

void Applier::operator()(const HookOutput& event) {
  if (auto* hooks = hooks_of(event.uplink, event.pid)) hooks->last_line = event.line;
  tell(event.uplink, event);
}

void Applier::operator()(const HookExited& event) {
  auto* hooks = hooks_of(event.uplink, event.pid);
  if (hooks == nullptr) return;
  hook_ended(event.uplink, *hooks, event.signal != 0 ? Ending(Killed{event.signal}) : Exited{event.status});
}

void Applier::hook_ended(const std::string& uplink, Hooks& hooks, Ending how, bool refused) {
  notice::HookDone done{hooks.told->argv.front(), hooks.told->state.up, whole(now_ - hooks.started)};
  if (auto failure = hooks.end(std::move(how), refused))
    tell(uplink, *std::move(failure));
  else
    tell(uplink, std::move(done));
}

}  // namespace clat::plan
