// What keeps an interface from being up, or makes it slow, in plain words, and what to do about it. Pure.
#pragma once

#include <string>
#include <vector>

#include "supervisor/model/status.hpp"
#include "supervisor/render/paint.hpp"

namespace clat::render {

struct Finding {
  enum class Weight : std::uint8_t { note, slow, down };
  Weight weight = Weight::note;
  std::string code;  // stable
  std::string text;
  std::string next;  // what to do; empty: nothing
  bool operator==(const Finding&) const = default;
};

// In the order in which to look.
std::vector<Finding> findings(const model::InterfaceStatus& status);
// Of clatvisor itself.
std::vector<Finding> findings(const model::Status& status);

std::string explain(const model::InterfaceStatus& status, Paint paint);
// Of clatvisor itself and of each interface.
std::string explain(const model::Status& status, Paint paint);

}  // namespace clat::render
