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

// Whether to load everything anew before attaching is tried again: somebody may have taken the pins away from under us.
// Where a link or a filter is in the way (EAGAIN, EBUSY) the programs are well, and other uplinks use them.
inline bool may_need_new_programs(const Error& error) { return error.code != EAGAIN && error.code != EBUSY; }

}  // namespace clat
