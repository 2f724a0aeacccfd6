// Whether downloads that the fast path translates are shaped as the uplink's own. Pure.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "supervisor/model/notices.hpp"
#include "supervisor/plan/world.hpp"

namespace clat::plan {

// What the tun is to be shaped by, or why it is not. Of an uplink that is configured.
std::expected<ShapingSpec, Unshaped> wanted_shaping(const World& world, const std::string& name, const Clat& clat);

// As it is.
Shaping shaping_of(const World& world, const std::string& name, const Clat& clat);

// What became of it since it was told last. Needs the outlook.
void tell_shaping(const World& world, const std::string& name, Clat& clat, std::vector<Notice>& notices);

}  // namespace clat::plan
