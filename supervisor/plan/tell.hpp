// What the log says about the World.
#pragma once

#include <string>

#include "supervisor/model/events.hpp"
#include "supervisor/model/note.hpp"
#include "supervisor/plan/world.hpp"

namespace clat::plan {

std::string signal_name(int signal);                                      // "SIGTERM"
std::string milliseconds_text(std::chrono::steady_clock::duration time);  // "1500ms"

std::string starting_clatd(const ChildSpec& child);  // as Android's netd says it

Note tell_config(const config::Config* before, const config::Config& now, const std::string& file);
Note tell_health(const World& world, const std::string& name, const Clat& clat, TimePoint now,
                 const Counters& counters);

}  // namespace clat::plan
