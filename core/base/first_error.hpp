// For what goes on after an error, and returns the first.
#pragma once

#include <utility>

#include "core/base/error.hpp"

namespace clat {

inline void note(Result<>& first, Result<> next) {
  if (first && !next) first = std::move(next);
}

}  // namespace clat
