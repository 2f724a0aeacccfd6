// Nodes of the tree into fields, by tables of keys.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "config/findings.hpp"
#include "config/suggest.hpp"
#include "config/surroundings.hpp"
#include "config/text.hpp"
#include "config/tree.hpp"
#include "core/base/error.hpp"

namespace clat::config {

class Reader;

// One key of a mapping, and how its value gets into an `Into`.
template <class Into>
struct Key {
  std::string_view name;
  void (*read)(Reader& reader, const Entry& entry, Into& into);
};

class Reader {
 public:
  Reader(Findings& findings, const Surroundings& surroundings) : findings_(findings), surroundings_(surroundings) {}

  [[nodiscard]] const Surroundings& surroundings() const { return surroundings_; }

  void fail(const Place& place, std::string reason) { findings_.add(place, std::move(reason)); }
  // At the value of a known key, whose name stands in front.
  void fail(const Entry& entry, const std::string& reason) { fail(entry.value.place, entry.key + ": " + reason); }

  // `parse` is given the text and returns a Result. Whether `into` was set.
  template <class T, class Parse>
  bool take(const Entry& entry, T& into, Parse parse) {
    if (!is_filled(entry, Node::Kind::scalar)) return false;
    auto value = parse(std::string_view(entry.value.text));
    if (!value) {
      fail(entry, value.error().what);
      return false;
    }
    into = *std::move(value);
    return true;
  }

  // The same, and "auto" is nothing.
  template <class T, class Parse>
  bool take_unless_auto(const Entry& entry, std::optional<T>& into, Parse parse) {
    if (entry.value.kind != Node::Kind::scalar || entry.value.text != "auto") return take(entry, into, parse);
    into.reset();
    return true;
  }

  // A list of such.
  template <class T, class Parse>
  void take_list(const Entry& entry, std::vector<T>& into, Parse parse) {
    if (!is_filled(entry, Node::Kind::sequence)) return;
    for (const Entry& item : entry.value.entries) {
      std::optional<T> value;
      if (take(Entry{entry.key, entry.place, item.value}, value, parse)) into.push_back(*std::move(value));
    }
  }

  // Every entry of the mapping by the table of its level; `reserved` keys belong to later versions.
  template <class Into, std::size_t N>
  void take_keys(const Node& mapping, const std::array<Key<Into>, N>& keys, Into& into,
                 std::span<const std::string_view> reserved = {}) {
    for (const Entry& entry : mapping.entries) {
      const auto key = std::ranges::find(keys, entry.key, &Key<Into>::name);
      if (key != keys.end()) {
        key->read(*this, entry, into);
        continue;
      }
      std::array<std::string_view, N> known;
      std::ranges::transform(keys, known.begin(), &Key<Into>::name);
      refuse_key(entry, known, reserved);
    }
  }
  // The same for a key whose value is such a mapping.
  template <class Into, std::size_t N>
  void take_mapping(const Entry& entry, const std::array<Key<Into>, N>& keys, Into& into) {
    if (is_filled(entry, Node::Kind::mapping)) take_keys(entry.value, keys, into);
  }

  // Whether the value is of that kind and not empty; else says so.
  bool is_filled(const Entry& entry, Node::Kind kind);

 private:
  void refuse_key(const Entry& entry, std::span<const std::string_view> known,
                  std::span<const std::string_view> reserved);

  Findings& findings_;
  const Surroundings& surroundings_;
};

// Whether a mapping has a key of that name, or a slip of it (which is a finding of its own).
bool has_or_means(const Node& mapping, std::string_view name);

// What a node is, for messages.
std::string_view describe(Node::Kind kind);

}  // namespace clat::config
