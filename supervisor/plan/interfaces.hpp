// The interfaces of the config on the links that there are: from here on each has the name that the kernel gives it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/model/reason.hpp"

namespace clat::plan {

struct Interface {
  config::Interface wanted;  // its name is the kernel's where the link is there
  std::string entry;         // its key in the config
  std::optional<model::Reason> refusal = {};
  bool operator==(const Interface&) const = default;
};

using Interfaces = std::map<std::string, Interface>;  // by name

// Of two entries that name one link the kernel's own name counts, else the first; the other is refused under its key.
Interfaces interfaces_on(const config::Config& config, const model::Links& links);

}  // namespace clat::plan
