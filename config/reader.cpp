#include "config/reader.hpp"

namespace clat::config {

std::string_view describe(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::scalar: return "a single value";
    case Node::Kind::mapping: return "keys and values";
    case Node::Kind::sequence: return "a list";
    case Node::Kind::broken: break;
  }
  return "nothing";
}

bool has_or_means(const Node& mapping, std::string_view name) {
  return std::ranges::any_of(mapping.entries,
                             [&](const Entry& entry) { return !nearest(entry.key, std::span(&name, 1)).empty(); });
}

bool Reader::is_filled(const Entry& entry, Node::Kind kind) {
  const Node& value = entry.value;
  if (value.kind == Node::Kind::broken) return false;
  const auto name = in_quotes(entry.key);  // may be that of an interface
  if (value.kind == Node::Kind::scalar && value.text.empty()) {
    fail(value.place, name + " has no value");
    return false;
  }
  if (value.kind == kind) return true;
  fail(value.place,
       name + " takes " + std::string(describe(kind)) + ", but here is " + std::string(describe(value.kind)));
  return false;
}

void Reader::refuse_key(const Entry& entry, std::span<const std::string_view> known,
                        std::span<const std::string_view> reserved) {
  if (std::ranges::find(reserved, entry.key) != reserved.end()) {
    fail(entry.place, in_quotes(entry.key) + " is reserved for a later version");
    return;
  }
  std::string hint = suggestion(entry.key, known);
  if (hint.empty()) {
    for (const auto name : known) hint.append(hint.empty() ? "; known here: " : ", ").append(name);
  }
  fail(entry.place, "unknown key " + in_quotes(entry.key) + hint);
}

}  // namespace clat::config
