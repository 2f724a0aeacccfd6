// What happened, in the words of docs/events.md. Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "supervisor/log/entry.hpp"
#include "supervisor/model/notices.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/status.hpp"

namespace clat::log {

// One entry, or for a dump one a line.
std::vector<Entry> words(const model::Notice& notice);

// "no IPv6 route towards 64:ff9b::/96"
std::string text(const model::Reason& reason);
// "SIGKILL", "status 71"
std::string text(const model::Ending& ending);
std::string text(const model::Condemned& why);

// The lines of a dump, the Trackers table of Android's netd first.
std::vector<std::string> dump(const model::Status& status);

std::string signal_name(int signal);                            // "SIGTERM"
std::string milliseconds_text(std::chrono::milliseconds time);  // "1500ms"

}  // namespace clat::log
