// Reasons, endings and measures in words, for every face of the status and for the log. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "supervisor/model/hook.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/shortcut.hpp"
#include "supervisor/model/status.hpp"

namespace clat::render {

// "no IPv6 route towards 64:ff9b::/96"
std::string text(const model::Reason& reason);
// "downloads follow ifb4wan0"; empty: there is nothing to say
std::string text(const model::Shaping& shaping);
// "192.168.1.0/24 in 2001:db8:1:c1a7::/96".
std::string text(const RangeMapping& range);
// "there is no such interface"
std::string text(model::Unserved why);
// "SIGKILL", "status 71"
std::string text(const model::Ending& ending);
std::string text(const model::Condemned& why);
// "status 3", "it did not end within 30000ms"
std::string text(const model::HookFailure& failure);
// What is to come, or to do, while a CLAT waits for that.
std::string what_helps(model::Why why);

std::string signal_name(int signal);                            // "SIGTERM"
std::string milliseconds_text(std::chrono::milliseconds time);  // "1500ms"
// The two largest units: "3d4h", "59m1s", "12s"; below a second "0.3s".
std::string duration_text(std::chrono::milliseconds time);
// At most four characters and a unit of 1024 each: "999", "1.2K", "345M".
std::string short_bytes(std::uint64_t bytes);
// "1.24 MiB"
std::string bytes_text(std::uint64_t bytes);

}  // namespace clat::render
