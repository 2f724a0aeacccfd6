#pragma once

#include <string>
#include <vector>

#include "core/base/error.hpp"

namespace clat::system {

// What this process lacks to do its work, one error each; empty: nothing.
std::vector<Error> preflight();

}  // namespace clat::system
