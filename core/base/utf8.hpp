// UTF-8, one character at a time, from text of unknown origin.
#pragma once

#include <cstddef>
#include <string_view>

namespace clat {

struct Utf8Character {
  char32_t code = 0;  // the byte itself when not valid
  std::size_t bytes = 1;
  bool valid = true;  // well-formed: shortest form, no surrogate (Unicode 15, table 3-7)
};

// The first character of `text`, which is not empty. A byte that begins none is one of its own.
Utf8Character decode_utf8(std::string_view text);

}  // namespace clat
