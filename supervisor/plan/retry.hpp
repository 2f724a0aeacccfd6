// Something that failed, and is tried again.
#pragma once

#include <optional>

#include "core/base/error.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/plan/backoff.hpp"

namespace clat::plan {

struct Retry {
  Backoff backoff = {};
  std::optional<model::TimePoint> at = {};  // none: it did not fail
  std::optional<Error> error = {};          // why the last try failed

  // Returns the delay. What is being taken down at a stop is not waited for long.
  model::milliseconds fail(model::milliseconds delay, model::TimePoint now, Error why) {
    at = now + delay;
    error = std::move(why);
    return delay;
  }
  [[nodiscard]] bool failed() const { return at.has_value(); }
  // The cause may be gone: at once, but not as if it had never failed.
  void hurry(model::TimePoint now) {
    if (at) at = now;
  }
  // It is not tried any more. How often it failed is remembered.
  void forget() {
    at.reset();
    error.reset();
  }
  void succeed() { *this = {}; }
};

}  // namespace clat::plan
