#pragma once

#include <string>
#include <vector>

#include "core/base/error.hpp"

namespace clat::system {

// What this process lacks to do its work, one error each; empty: nothing.
std::vector<Error> preflight();

// As many descriptors as this process may have: the usual soft limit of 1024 is not enough for 256 uplinks, each of
// which takes five.
void allow_all_descriptors();

}  // namespace clat::system
