// The part of apply() that draws conclusions: which addresses, what stands in the way, who is up.
#pragma once

#include <vector>

#include "supervisor/model/notices.hpp"
#include "supervisor/plan/world.hpp"

namespace clat::plan {

// What one CLAT of the scope gives up may be what others wait for: then the scope becomes all.
void settle(World& world, Scope& scope, TimePoint now, std::vector<Notice>& notices);

}  // namespace clat::plan
