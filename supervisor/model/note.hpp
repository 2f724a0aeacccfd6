// A log line as a value: the plan says what happened, supervisor/log writes it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clat::model {

enum class Severity { debug, info, warn, error };

struct Note {
  Severity severity = Severity::info;
  std::string_view event;  // a name of the catalogue, docs/events.md: static storage
  std::string iface;       // empty: concerns no one interface
  std::vector<std::pair<std::string, std::string>> fields;

  bool operator==(const Note&) const = default;
};

}  // namespace clat::model
