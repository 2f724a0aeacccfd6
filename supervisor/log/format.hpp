// A entry as one line of text: pure, no I/O.
#pragma once

#include <chrono>
#include <string>

#include "config/config.hpp"
#include "supervisor/log/entry.hpp"

namespace clat::log {

using WallTime = std::chrono::system_clock::time_point;

constexpr std::size_t kMaxValue = 1024;  // bytes of a value; what is longer is cut and marked "...+<bytes cut>"

// Without the newline, and with none inside, whatever the values hold: they may come from a child's output.
//
// logfmt: `ts=… level=… event=… iface=… key=value …`. A value is quoted only if it is empty or holds a space, `"`, `=`,
// a control character (C0, DEL, C1) or a byte that is not UTF-8. Unquoted text is literal; within quotes `\\`, `\"`,
// `\n`, `\t` and `\xNN` (one byte) are the escapes. json: one object of strings (RFC 8259); a byte that is not UTF-8
// becomes U+FFFD.
//
// Both: no key occurs twice (a repeated one gets `_` appended), and a key holds only letters, digits, `_`, `-` and `.`.
std::string format_line(config::LogFormat format, WallTime at, const Entry& entry);

}  // namespace clat::log
