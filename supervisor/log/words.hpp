// What happened, in the words of docs/events.md. Pure.
#pragma once

#include <vector>

#include "supervisor/log/entry.hpp"
#include "supervisor/model/notices.hpp"

namespace clat::log {

// One entry, or for a dump one a line.
std::vector<Entry> words(const model::Notice& notice);

}  // namespace clat::log
