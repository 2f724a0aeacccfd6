// The status in Prometheus' text format. Pure.
#pragma once

#include <string>
#include <string_view>

#include "supervisor/model/status.hpp"

namespace clat::render {

std::string metrics(const model::Status& status, std::string_view version);

}  // namespace clat::render
