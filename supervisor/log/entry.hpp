// A log entry as a value: what an event is called, and its fields in words.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "supervisor/render/json.hpp"

namespace clat::log {

enum class Severity { debug, info, warn, error };

struct Entry {
  Severity severity = Severity::info;
  std::string_view event;  // a name of the catalogue, docs/events.md: static storage
  std::string iface;       // empty: concerns no one interface
  std::vector<std::pair<std::string, render::Value>> fields;

  bool operator==(const Entry&) const = default;
};

}  // namespace clat::log
