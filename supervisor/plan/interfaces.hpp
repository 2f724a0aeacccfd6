// The interfaces of the config on the links that there are: from here on each has the name that the kernel gives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/model/reason.hpp"

namespace clat::plan {

struct Interface {
  config::Interface wanted;  // its name is the kernel's where the link is there; its metric that of the link
  std::string entry;         // its key in the config; of several links it may be one pattern
  std::optional<model::Reason> refusal = {};
  bool operator==(const Interface&) const = default;
};

using Interfaces = std::map<std::string, Interface>;  // by name

// Metrics of default routes by ifindex, of links that a pattern matched.
using LinkMetrics = std::map<int, std::uint32_t>;
// So many links are taken by patterns in all.
constexpr std::size_t kMostMatched = 256;

// Of two entries that name one link the kernel's own name counts, else the first; the other is refused under its key.
// Patterns take the links that are left, in the order of ifindex, but for lo and those that `is_ours` says; a pattern
// without any, or with too many, stands there itself, refused. A link keeps its metric of `held`, which is brought up
// to date; another has the lowest that is free, from that of the pattern on.
Interfaces interfaces_on(const config::Config& config, const model::Links& links, LinkMetrics& held,
                         const std::function<bool(const model::Link&)>& is_ours);

}  // namespace clat::plan
