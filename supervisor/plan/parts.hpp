// The table of parts: what each stands on, how it changes, whether an audit can see it. A new part is a row here, its
// spec and its name in model/, and its verbs at the edge.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "supervisor/model/specs.hpp"

namespace clat::plan {

using model::kParts;
using model::Part;
using model::Spec;

constexpr std::size_t index(Part part) { return static_cast<std::size_t>(part); }

// In the order in which they are made.
constexpr auto kInOrder = [] {
  std::array<Part, kParts> all{};
  for (std::size_t i = 0; i < kParts; ++i) all[i] = static_cast<Part>(i);
  return all;
}();

// Whether `part`, being (or to be) as `spec` says, stands on `base`: it is made after it and taken down before it.
bool stands_on(Part part, Part base, const std::optional<Spec>& spec);

// Whether the kernel, or the child, can go from the one to the other without losing what there is. Of one part.
bool changes_in_place(const Spec& have, const Spec& wanted);

// How large a packet it lets through, bytes; 0 for parts that do not care. To be compared with the same part's.
std::uint32_t mtu_of(const std::optional<Spec>& spec);

// Whether an audit can see it in the kernel.
bool is_audited(Part part);

}  // namespace clat::plan
