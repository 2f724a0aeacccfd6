// How the World looks to an onlooker.
#pragma once

#include <string>

#include "supervisor/model/status.hpp"
#include "supervisor/plan/world.hpp"

namespace clat::plan {

State state_of(const World& world, const std::string& uplink, const Clat& clat);
Status status(const World& world, TimePoint now);
InterfaceStatus status_of(const World& world, const std::string& uplink, const Clat& clat, TimePoint now);

}  // namespace clat::plan
