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

// C0, DEL and C1: never printed as they are.
inline bool is_control(const Utf8Character& c) {
  return c.valid && (c.code < 0x20 || (c.code >= 0x7f && c.code < 0xa0));
}

// The first character of `text`, which is not empty. A byte that begins none is one of its own.
Utf8Character decode_utf8(std::string_view text);

}  // namespace clat
