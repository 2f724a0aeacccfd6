// The part of apply() that draws conclusions: which addresses, what stands in the way, who is up.
#pragma once

#include <vector>

#include "supervisor/plan/note.hpp"
#include "supervisor/plan/world.hpp"

namespace clat::plan {

void settle(World& world, TimePoint now, std::vector<Note>& notes);

}  // namespace clat::plan
