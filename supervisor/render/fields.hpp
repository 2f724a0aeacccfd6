// What is known of one interface, field by field: for JSON, for scripts, and for the documentation. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "supervisor/model/status.hpp"
#include "supervisor/render/json.hpp"

namespace clat::render {

struct Field {
  std::string_view name;  // as in JSON and in docs/clatctl.1: never changed
  Value (*get)(const model::InterfaceStatus& status);
};

// In the order of JSON.
std::span<const Field> fields();

// One field for a script, a line; empty where there is nothing to say. None: there is no such field.
std::optional<std::string> show(const model::InterfaceStatus& status, std::string_view field);

// The reason and its word, of what is not up.
std::string reason_text(const model::InterfaceStatus& status);
std::string_view reason_code(const model::InterfaceStatus& status);
// "tcx", "clsact", "clatd", "none".
std::string_view path(const model::InterfaceStatus& status);

// Schema 1: docs/clatctl.1.
std::string json(const model::Status& status, std::string_view version, int pid);

}  // namespace clat::render
