#include "supervisor/render/json.hpp"

#include <array>
#include <cstdio>

#include "core/base/utf8.hpp"
#include "supervisor/render/words.hpp"

namespace clat::render {

void append_json(std::string& out, std::string_view value) {
  out += '"';
  while (!value.empty()) {
    const auto character = decode_utf8(value);
    const auto code = character.code;
    if (!character.valid) {
      out += "\\ufffd";
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\t') {
      out += "\\t";
    } else if (is_control(character)) {
      std::array<char, 8> text{};
      std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<unsigned>(code));
      out += text.data();
    } else {
      if (code == '"' || code == '\\') out += '\\';
      out += value.substr(0, character.bytes);
    }
    value.remove_prefix(character.bytes);
  }
  out += '"';
}

namespace {

struct InJson {
  std::string& out;
  void operator()(std::monostate) const { out += "null"; }
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(std::uint64_t value) const { out += std::to_string(value); }
  void operator()(std::chrono::seconds time) const { out += std::to_string(time.count()); }
  void operator()(std::chrono::milliseconds time) const {
    std::array<char, 32> text{};
    const auto count = time.count() < 0 ? 0 : time.count();
    std::snprintf(text.data(), text.size(), "%lld.%03lld", static_cast<long long>(count / 1000),
                  static_cast<long long>(count % 1000));
    out += text.data();
  }
  void operator()(const std::string& text) const { append_json(out, text); }
};

struct InLogfmt {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(bool value) const { return value ? "yes" : "no"; }
  std::string operator()(std::uint64_t value) const { return std::to_string(value); }
  std::string operator()(std::chrono::seconds time) const { return std::to_string(time.count()) + "s"; }
  std::string operator()(std::chrono::milliseconds time) const { return milliseconds_text(time); }
  std::string operator()(const std::string& text) const { return text; }
};

}  // namespace

void append_value(std::string& out, const Value& value) { std::visit(InJson{out}, value); }

std::string json_text(const Value& value) {
  std::string out;
  append_value(out, value);
  return out;
}

std::string plain_text(const Value& value) { return std::visit(InLogfmt{}, value); }

void Json::separate() {
  if (!first_) out_ += ',';
  first_ = false;
}

void Json::key(std::string_view name) {
  separate();
  append_json(out_, name);
  out_ += ':';
}

void Json::begin(char bracket) {
  separate();
  out_ += bracket;
  first_ = true;
}

void Json::begin(std::string_view name, char bracket) {
  key(name);
  out_ += bracket;
  first_ = true;
}

void Json::end(char bracket) {
  out_ += bracket;
  first_ = false;
}

void Json::member(std::string_view name, const Value& value) {
  key(name);
  put(value);
}

void Json::element(const Value& value) {
  separate();
  put(value);
}

void Json::put(const Value& value) { append_value(out_, value); }

}  // namespace clat::render
