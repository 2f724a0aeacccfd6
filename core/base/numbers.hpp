// Numbers in text.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace clat {

// All of `text`: digits, and a minus where the type has one. Nothing when it is something else or does not fit.
template <std::integral Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return code == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

template <std::integral Number>
std::optional<Number> parse_number(std::string_view text, Number least, Number most) {
  const auto number = parse_number<Number>(text);
  return number && *number >= least && *number <= most ? number : std::nullopt;
}

}  // namespace clat
