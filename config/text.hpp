// Text of unknown origin, made fit to be looked at.
#pragma once

#include <string>
#include <string_view>

#include "core/base/utf8.hpp"

namespace clat::config {

// Whether a config file may hold it: what YAML calls printable, less the Unicode line breaks that editors do not count.
bool is_allowed(const Utf8Character& character);

// `text` in single quotes for a message, clipped to 48 characters. '?' stands for anything that could upset a terminal
// or a log.
std::string in_quotes(std::string_view text);

struct Excerpt {
  std::string line;
  unsigned caret = 0;  // columns in front of the place
};

// At most 120 columns of `line` around the 1-based `column` (in characters), every character harmless and one column
// wide; "..." where it was clipped.
Excerpt excerpt(std::string_view line, unsigned column);

// The 1-based `number`th line without its line break (LF, CR or CRLF); empty behind the last.
std::string_view line_of(std::string_view text, unsigned number);

}  // namespace clat::config
