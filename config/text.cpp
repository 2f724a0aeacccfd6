#include "config/text.hpp"

#include <algorithm>

namespace clat::config {

namespace {

constexpr std::size_t kQuoted = 48;  // characters
constexpr std::size_t kColumns = 120;
constexpr std::size_t kDots = 3;

// Directional overrides, zero-width characters and the like can make a line look like another one.
bool is_deceptive(char32_t code) {
  return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xad || code == 0xfeff;
}

void append_harmless(std::string& out, std::string_view text, const Utf8Character& character) {
  if (character.code == '\t') {
    out += ' ';
  } else if (!is_allowed(character) || character.code < 0x20 || is_deceptive(character.code)) {
    out += '?';
  } else {
    out += text.substr(0, character.bytes);
  }
}

}  // namespace

bool is_allowed(const Utf8Character& character) {
  const char32_t code = character.code;
  if (!character.valid) return false;
  if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
  if (code >= 0x7f && code <= 0x9f) return false;
  return code != 0x2028 && code != 0x2029 && code != 0xfeff && code != 0xfffe && code != 0xffff;
}

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (std::size_t count = 0; !text.empty(); ++count) {
    if (count == kQuoted) return out + "...'";
    const auto character = decode_utf8(text);
    append_harmless(out, text, character);
    text.remove_prefix(character.bytes);
  }
  return out + "'";
}

Excerpt excerpt(std::string_view line, unsigned column) {
  std::size_t length = 0;
  for (std::string_view rest = line; !rest.empty(); ++length) rest.remove_prefix(decode_utf8(rest).bytes);

  const std::size_t place = std::min<std::size_t>(column == 0 ? 0 : column - 1, length);
  const std::size_t first = length <= kColumns ? 0 : std::min(place - std::min(place, kColumns / 2), length - kColumns);
  const std::size_t last = std::min(length, first + kColumns);  // one past

  Excerpt result;
  result.caret = static_cast<unsigned>(place - first);
  std::size_t at = 0;
  for (std::string_view rest = line; at < last; ++at) {
    const auto character = decode_utf8(rest);
    if (at >= first) {
      const bool clipped = (first > 0 && at < first + kDots) || (last < length && at + kDots >= last);
      if (clipped) {
        result.line += '.';
      } else {
        append_harmless(result.line, rest, character);
      }
    }
    rest.remove_prefix(character.bytes);
  }
  return result;
}

std::string_view line_of(std::string_view text, unsigned number) {
  for (unsigned line = 1;; ++line) {
    const auto end = std::min(text.find_first_of("\r\n"), text.size());
    if (line == number) return text.substr(0, end);
    if (end == text.size()) return {};
    text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
  }
}

}  // namespace clat::config
