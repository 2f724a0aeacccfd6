// For what goes on after an error.
#pragma once

#include <utility>

#include "core/base/error.hpp"

namespace clat::system {

inline void note(Result<>& first, Result<> next) {
  if (first && !next) first = std::move(next);
}

}  // namespace clat::system
