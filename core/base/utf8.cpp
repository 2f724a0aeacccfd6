#include "core/base/utf8.hpp"

#include <array>

namespace clat {

namespace {

std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

}  // namespace

Utf8Character decode_utf8(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const Utf8Character invalid{lead, 1, false};
  const std::size_t length = sequence_length(lead);
  if (length == 0 || length > text.size()) return invalid;
  if (length == 1) return {lead, 1, true};
  char32_t code = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return invalid;
    code = code << 6 | (next & 0x3f);
  }
  constexpr std::array<char32_t, 5> kShortest{0, 0, 0x80, 0x800, 0x10000};
  if (code < kShortest.at(length) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return invalid;
  return {code, length, true};
}

}  // namespace clat
