// Colours of a terminal. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "supervisor/model/status.hpp"

namespace clat::render {

enum class Colour : std::uint8_t { none, bold, green, yellow, red };
Colour colour_of(model::State state);

enum class Paint : bool { no, yes };
std::string painted(std::string_view text, Colour colour, Paint paint);

}  // namespace clat::render
