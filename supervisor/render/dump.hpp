// The status for SIGUSR1.
#pragma once

#include <string>
#include <vector>

#include "supervisor/model/status.hpp"

namespace clat::render {

// The Trackers table of Android's netd, then a line for each interface.
std::vector<std::string> dump(const model::Status& status);

}  // namespace clat::render
