// Between which devices of the LAN and which uplinks flows may go past the stack. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/model/notices.hpp"
#include "supervisor/model/shortcut.hpp"
#include "supervisor/plan/retry.hpp"

namespace clat::plan {

struct World;

struct Shortcut {
  model::ShortcutSpec wanted;                       // kept up to date by settle()
  std::optional<model::ShortcutSpec> told;          // what the edge has; none: it knows of nothing yet
  Retry retry;                                      // it could not be served
  std::map<std::string, model::Unserved> unserved;  // devices; as it was told

  [[nodiscard]] bool is_due(model::TimePoint now) const {
    return told.value_or(model::ShortcutSpec{}) != wanted && retry.at.value_or(now) <= now;
  }
};

// Needs the outlooks of all CLATs.
void settle_shortcut(World& world, std::vector<model::Notice>& notices);

}  // namespace clat::plan
