#include "supervisor/render/paint.hpp"

namespace clat::render {

namespace {

std::string_view sequence(Colour colour) {
  switch (colour) {
    case Colour::none: return "";
    case Colour::bold: return "\x1b[1m";
    case Colour::green: return "\x1b[32m";
    case Colour::yellow: return "\x1b[33m";
    case Colour::red: return "\x1b[31m";
  }
  return "";
}

}  // namespace

Colour colour_of(model::State state) {
  switch (state) {
    case model::State::up: return Colour::green;
    case model::State::failed: return Colour::red;
    case model::State::waiting:
    case model::State::starting:
    case model::State::backoff:
    case model::State::stopping: return Colour::yellow;
  }
  return Colour::none;
}

std::string painted(std::string_view text, Colour colour, Paint paint) {
  if (paint == Paint::no || colour == Colour::none) return std::string(text);
  return std::string(sequence(colour)).append(text).append("\x1b[0m");
}

}  // namespace clat::render
