// The status for a terminal. Pure.
#pragma once

#include <string>

#include "supervisor/model/status.hpp"
#include "supervisor/render/paint.hpp"

namespace clat::render {

// A row for each interface, 80 columns wide at most; below it, why some are not up.
std::string table(const model::Status& status, Paint paint);

// One interface in full.
std::string detail(const model::InterfaceStatus& status, Paint paint);

}  // namespace clat::render
