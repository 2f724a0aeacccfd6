// JSON, written in one pass. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace clat::render {

// As a string of JSON, in quotes. A byte that is not UTF-8 becomes U+FFFD.
void append_json(std::string& out, std::string_view value);

// What a field holds. In JSON none is null, and a time is a number of seconds.
using Value =
    std::variant<std::monostate, bool, std::uint64_t, std::chrono::milliseconds, std::chrono::seconds, std::string>;

// For logfmt: "yes", "7", "12ms", "1800s"; none is empty.
std::string plain_text(const Value& value);
// For JSON.
void append_value(std::string& out, const Value& value);
std::string json_text(const Value& value);

class Json {
 public:
  void begin(char bracket);                        // '{' or '[', as the next element
  void begin(std::string_view key, char bracket);  // as a member
  void end(char bracket);
  void member(std::string_view key, const Value& value);
  void element(const Value& value);
  [[nodiscard]] std::string take() && { return std::move(out_); }

 private:
  void separate();
  void key(std::string_view name);
  void put(const Value& value);

  std::string out_;
  bool first_ = true;  // in the bracket that was opened last
};

}  // namespace clat::render
