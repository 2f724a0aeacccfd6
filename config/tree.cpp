#include "config/tree.hpp"

#include <yaml.h>

#include <unordered_map>
#include <utility>

#include "config/text.hpp"

namespace clat::config {

namespace {

Place place_of(const yaml_mark_t& mark) {
  return {static_cast<unsigned>(mark.line) + 1, static_cast<unsigned>(mark.column) + 1};
}

std::string_view view(const yaml_char_t* text, std::size_t length) {
  return {reinterpret_cast<const char*>(text), length};
}

// libyaml gives the end of the file as the line behind the last; there is nothing to show there.
Place back_to_text(std::string_view text, Place place) {
  const auto is_blank = [&](unsigned line) {
    return line_of(text, line).find_first_not_of(" \t") == std::string_view::npos;
  };
  if (!is_blank(place.line)) return place;
  const auto end = text.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return {};
  Place last;
  for (std::size_t at = 0; at <= end;) {
    const bool line_break = text[at] == '\n' || (text[at] == '\r' && text.substr(at, 2) != "\r\n");
    last = line_break ? Place{last.line + 1, 1} : Place{last.line, last.column + 1};
    at += decode_utf8(text.substr(at)).bytes;
  }
  return last < place ? last : place;
}

std::string explain(const yaml_parser_t& parser, std::string_view text, Place place) {
  const std::string_view problem = parser.problem == nullptr ? "unknown reason" : parser.problem;
  std::string reason = "not valid YAML: " + std::string(problem);
  const auto line = line_of(text, place.line);
  if (problem == "found character that cannot start any token" && line.find('\t') != std::string_view::npos) {
    return "not valid YAML: a tab cannot indent; use spaces";
  }
  if (problem == "mapping values are not allowed in this context") {
    reason += " (a text holding ': ' or ending in ':' needs quotes)";
  }
  return reason;
}

// The events of libyaml, one at a time, turned into nodes.
class Builder {
 public:
  Builder(std::string_view text, Findings& findings) : text_(text), findings_(findings) {
    ready_ = yaml_parser_initialize(&parser_) == 1;
    if (!ready_) return;
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;
  ~Builder() {
    yaml_event_delete(&event_);
    if (ready_) yaml_parser_delete(&parser_);
  }

  std::optional<Node> document() {
    if (!next() || !next()) return std::nullopt;  // the start of the stream, then of the document
    if (event_.type == YAML_STREAM_END_EVENT) {
      const bool blank = text_.find_first_not_of(" \t\r\n") == std::string_view::npos;
      return stop({}, blank ? "the file is empty" : "the file holds nothing but comments");
    }
    if (!next()) return std::nullopt;
    auto root = node(1);
    if (!root || !next() || !next()) return std::nullopt;
    if (event_.type != YAML_STREAM_END_EVENT) {
      return stop(place_of(event_.start_mark), "a second YAML document begins here; a config is a single one");
    }
    return root;
  }

 private:
  bool next() {
    yaml_event_delete(&event_);
    event_ = {};
    if (!ready_) {
      findings_.add({}, "out of memory");
      return false;
    }
    if (yaml_parser_parse(&parser_, &event_) == 1) return true;
    const Place place = back_to_text(text_, place_of(parser_.problem_mark));
    findings_.add(place, explain(parser_, text_, place));
    return false;
  }

  std::optional<Node> stop(const Place& place, std::string reason) {
    findings_.add(place, std::move(reason));
    return std::nullopt;
  }

  void refuse_decoration(const Place& place, const yaml_char_t* anchor, const yaml_char_t* tag) {
    if (anchor != nullptr) findings_.add(place, "anchors (&) are not supported");
    if (tag != nullptr) findings_.add(place, "tags (!) are not supported");
  }

  // The node that the current event begins, up to and with its last event.
  std::optional<Node> node(unsigned depth) {
    const Place place = place_of(event_.start_mark);
    if (++nodes_ > kMaxNodes) return stop(place, "more than " + std::to_string(kMaxNodes) + " keys and values");
    switch (event_.type) {
      case YAML_SCALAR_EVENT: {
        const auto& scalar = event_.data.scalar;
        refuse_decoration(place, scalar.anchor, scalar.tag);
        return Node{Node::Kind::scalar, place, std::string(view(scalar.value, scalar.length)), {}};
      }
      case YAML_ALIAS_EVENT:
        findings_.add(place, "aliases (*) are not supported");
        return Node{Node::Kind::broken, place, {}, {}};
      case YAML_MAPPING_START_EVENT:
        refuse_decoration(place, event_.data.mapping_start.anchor, event_.data.mapping_start.tag);
        return depth > kMaxDepth ? too_deep(place) : mapping(place, depth);
      case YAML_SEQUENCE_START_EVENT:
        refuse_decoration(place, event_.data.sequence_start.anchor, event_.data.sequence_start.tag);
        return depth > kMaxDepth ? too_deep(place) : sequence(place, depth);
      default: return stop(place, "not valid YAML");
    }
  }

  std::optional<Node> too_deep(const Place& place) {
    return stop(place, "nested deeper than " + std::to_string(kMaxDepth) + " levels");
  }

  std::optional<Node> sequence(const Place& place, unsigned depth) {
    Node result{Node::Kind::sequence, place, {}, {}};
    while (next()) {
      if (event_.type == YAML_SEQUENCE_END_EVENT) return result;
      auto item = node(depth + 1);
      if (!item) return std::nullopt;
      result.entries.push_back(Entry{{}, item->place, *std::move(item)});
    }
    return std::nullopt;
  }

  std::optional<Node> mapping(const Place& place, unsigned depth) {
    Node result{Node::Kind::mapping, place, {}, {}};
    std::unordered_map<std::string, unsigned> lines;  // of each key
    while (next()) {
      if (event_.type == YAML_MAPPING_END_EVENT) return result;
      const bool merge = event_.type == YAML_SCALAR_EVENT && event_.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                         view(event_.data.scalar.value, event_.data.scalar.length) == "<<";
      auto key = node(depth + 1);
      if (!key || !next()) return std::nullopt;
      auto value = node(depth + 1);
      if (!value) return std::nullopt;
      if (key->kind == Node::Kind::broken) continue;
      if (key->kind != Node::Kind::scalar) {
        findings_.add(key->place, "a key must be a single word");
      } else if (merge) {
        findings_.add(key->place, "merge keys (<<) are not supported");
      } else if (const auto [first, is_new] = lines.try_emplace(key->text, key->place.line); !is_new) {
        findings_.add(key->place,
                      "duplicate key " + in_quotes(key->text) + ", first in line " + std::to_string(first->second));
      } else {
        result.entries.push_back({std::move(key->text), key->place, *std::move(value)});
      }
    }
    return std::nullopt;
  }

  std::string_view text_;
  Findings& findings_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
  std::size_t nodes_ = 0;
  bool ready_ = false;
};

// libyaml reads ahead and reports a bad byte at the token before it, so this comes first.
bool is_readable(std::string_view text, Findings& findings) {
  Place place;
  for (std::size_t at = 0; at < text.size();) {
    const auto character = decode_utf8(text.substr(at));
    if (!is_allowed(character)) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      std::string hex;
      for (int shift = character.valid ? 12 : 4; shift >= 0; shift -= 4) hex += kDigits[character.code >> shift & 0xf];
      findings.add(place, character.valid ? "control character U+" + hex + " is not allowed"
                                          : "byte 0x" + hex + " is not UTF-8 text");
      return false;
    }
    const bool line_break = character.code == '\n' || (character.code == '\r' && text.substr(at, 2) != "\r\n");
    place = line_break ? Place{place.line + 1, 1} : Place{place.line, place.column + 1};
    at += character.bytes;
  }
  return true;
}

}  // namespace

std::optional<Node> read_tree(std::string_view text, Findings& findings) {
  if (!is_readable(text, findings)) return std::nullopt;
  return Builder(text, findings).document();
}

}  // namespace clat::config
