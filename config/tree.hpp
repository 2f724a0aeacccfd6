// YAML text as a bounded tree of marked text, before anything is known about its meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/findings.hpp"

namespace clat::config {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr unsigned kMaxDepth = 16;
constexpr std::size_t kMaxNodes = 262'144;

struct Entry;

struct Node {
  // broken: an error was reported already, so later steps leave it alone.
  enum class Kind : std::uint8_t { scalar, mapping, sequence, broken };
  Kind kind = Kind::broken;
  Place place;
  std::string text;            // of a scalar; plain and quoted are the same, so YAML's guesses at types play no part
  std::vector<Entry> entries;  // in file order; of a mapping, keys unique; of a sequence, items, without keys
};

struct Entry {
  std::string key;
  Place place;  // of the key
  Node value;
};

// Nothing when the text is no YAML document at all, with the reason in `findings`. Duplicate keys, anchors, aliases,
// tags and merge keys are findings too, but leave a tree that can be checked further.
std::optional<Node> read_tree(std::string_view text, Findings& findings);

}  // namespace clat::config
