// The brain: pure functions over the World.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "supervisor/model/actions.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/model/notices.hpp"
#include "supervisor/plan/world.hpp"

namespace clat::plan {

// What happened becomes what is, and then, once, what follows from it. The notices are what is worth telling.
// `scope`: the CLATs that it may have moved are added.
std::vector<Notice> apply(World& world, std::span<const Event> events, TimePoint now, Scope& scope);

struct Plan {
  // In the order of execution; at most one per interface, so that each is planned knowing how the one before went.
  std::vector<Action> actions;
  // Without an event before, look again then: at all that belongs to no CLAT, and at each CLAT of the scope.
  std::optional<TimePoint> wake_at;
  std::map<std::string, TimePoint> wakes;
};

// What is missing between what is wanted and what is, in the CLATs of this scope. Issues nothing that is in flight.
Plan plan(const World& world, TimePoint now, const Scope& scope);

// Records that `action` is about to be executed.
void begin(World& world, const Action& action, TimePoint now);

}  // namespace clat::plan
