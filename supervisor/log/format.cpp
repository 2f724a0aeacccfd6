#include "supervisor/log/format.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <vector>

#include "core/base/utf8.hpp"
#include "supervisor/render/json.hpp"

namespace clat::log {
namespace {

// Calls back with each character and its bytes.
template <class Visit>
void for_each_character(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const auto character = decode_utf8(text);
    visit(character, text.substr(0, character.bytes));
    text.remove_prefix(character.bytes);
  }
}

std::string clipped(std::string_view value) {
  if (value.size() <= kMaxValue) return std::string(value);
  std::size_t keep = kMaxValue;
  // Not in the middle of a character; three steps at most, so that garbage is not eaten up.
  for (int i = 0; i < 3 && (static_cast<std::uint8_t>(value[keep]) & 0xc0) == 0x80; ++i) --keep;
  return std::string(value.substr(0, keep)) + "...+" + std::to_string(value.size() - keep);
}

void append_hex(std::string& out, const char* prefix, std::uint32_t value, int digits) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%s%0*x", prefix, digits, static_cast<unsigned>(value));
  out += text.data();
}

void append_logfmt(std::string& out, std::string_view value) {
  bool quote = value.empty();
  for_each_character(value, [&](const Utf8Character& c, std::string_view) {
    quote = quote || !c.valid || is_control(c) || c.code == ' ' || c.code == '"' || c.code == '=';
  });
  if (!quote) {
    out += value;
    return;
  }
  out += '"';
  for_each_character(value, [&](const Utf8Character& c, std::string_view bytes) {
    if (c.valid && c.code == '\n') {
      out += "\\n";
    } else if (c.valid && c.code == '\t') {
      out += "\\t";
    } else if (!c.valid || is_control(c)) {
      for (const char byte : bytes) append_hex(out, "\\x", static_cast<std::uint8_t>(byte), 2);
    } else {
      if (c.code == '"' || c.code == '\\') out += '\\';
      out += bytes;
    }
  });
  out += '"';
}

std::string timestamp(WallTime at) {
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const std::time_t time = seconds.count();
  std::tm utc{};
  gmtime_r(&time, &utc);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%s.%03dZ", date.data(), static_cast<int>((since_epoch - seconds).count()));
  return text.data();
}

std::string_view name(Severity severity) {
  switch (severity) {
    case Severity::debug: return "debug";
    case Severity::info: return "info";
    case Severity::warn: return "warn";
    case Severity::error: return "error";
  }
  return "error";
}

std::string clean_key(const std::string& key) {
  if (key.empty()) return "_";
  std::string clean = key.substr(0, kMaxValue);
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  std::replace_if(clean.begin(), clean.end(), [&](char c) { return !allowed(c); }, '_');
  return clean;
}

using Pair = std::pair<std::string, render::Value>;

std::vector<Pair> pairs(WallTime at, const Entry& entry) {
  std::vector<Pair> all{
      {"ts", timestamp(at)}, {"level", std::string(name(entry.severity))}, {"event", std::string(entry.event)}};
  if (!entry.iface.empty()) all.emplace_back("iface", entry.iface);
  for (const auto& [raw, value] : entry.fields) {
    std::string key = clean_key(raw);
    const auto taken = [&](const Pair& pair) { return pair.first == key; };
    // `iface` stays the name of that one thing, also in a line without it.
    while (key == "iface" || std::any_of(all.begin(), all.end(), taken)) key += '_';
    all.emplace_back(std::move(key), value);
  }
  return all;
}

}  // namespace

std::string format_line(config::LogFormat format, WallTime at, const Entry& entry) {
  std::string line;
  switch (format) {
    case config::LogFormat::logfmt:
      for (const auto& [key, value] : pairs(at, entry)) {
        if (!line.empty()) line += ' ';
        line += key;
        line += '=';
        append_logfmt(line, clipped(render::plain_text(value)));
      }
      break;
    case config::LogFormat::json:
      for (const auto& [key, value] : pairs(at, entry)) {
        line += line.empty() ? '{' : ',';
        render::append_json(line, key);
        line += ':';
        if (const auto* text = std::get_if<std::string>(&value))
          render::append_json(line, clipped(*text));
        else
          render::append_value(line, value);
      }
      line += '}';
      break;
  }
  return line;
}

}  // namespace clat::log
