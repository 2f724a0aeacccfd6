// What the edge says of an action, for edge*.cpp.
#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "supervisor/model/actions.hpp"
#include "supervisor/model/events.hpp"

namespace clat {

inline Result<model::Made> answer(Result<> result) {
  if (!result) return std::unexpected(std::move(result).error());
  return model::Made{};
}

inline Result<model::Made> impossible(const model::PartAction& action) {
  return failure("there is no " + std::string(model::name(action.verb)) + " of " +
                     std::string(model::name(model::part_of(action.spec))),
                 ENOTSUP);
}

}  // namespace clat
