#include "supervisor/log/format.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <vector>

namespace clat::log {
namespace {

// One UTF-8 sequence, or one byte that does not begin a well-formed one (Unicode 15, table 3-7).
struct Unit {
  std::string_view bytes;
  char32_t code = 0;
  bool valid = false;

  [[nodiscard]] bool control() const { return valid && (code < 0x20 || (code >= 0x7f && code < 0xa0)); }
};

Unit next_unit(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto broken = Unit{text.substr(0, 1), 0, false};
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {text.substr(0, 1), lead, true};
  const std::size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                             : lead >= 0xe0 && lead <= 0xef ? 3
                             : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                            : 0;
  if (length == 0 || text.size() < length) return broken;
  char32_t code = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return broken;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return broken;
  return {text.substr(0, length), code, true};
}

template <class Visit>
void for_each_unit(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const Unit unit = next_unit(text);
    visit(unit);
    text.remove_prefix(unit.bytes.size());
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
  for_each_unit(value, [&](const Unit& unit) {
    quote = quote || !unit.valid || unit.control() || unit.code == ' ' || unit.code == '"' || unit.code == '=';
  });
  if (!quote) {
    out += value;
    return;
  }
  out += '"';
  for_each_unit(value, [&](const Unit& unit) {
    if (unit.valid && unit.code == '\n') {
      out += "\\n";
    } else if (unit.valid && unit.code == '\t') {
      out += "\\t";
    } else if (!unit.valid || unit.control()) {
      for (const char c : unit.bytes) append_hex(out, "\\x", static_cast<std::uint8_t>(c), 2);
    } else {
      if (unit.code == '"' || unit.code == '\\') out += '\\';
      out += unit.bytes;
    }
  });
  out += '"';
}

void append_json(std::string& out, std::string_view value) {
  out += '"';
  for_each_unit(value, [&](const Unit& unit) {
    if (!unit.valid) {
      out += "\\ufffd";
    } else if (unit.code == '\n') {
      out += "\\n";
    } else if (unit.code == '\t') {
      out += "\\t";
    } else if (unit.control()) {
      append_hex(out, "\\u", unit.code, 4);
    } else {
      if (unit.code == '"' || unit.code == '\\') out += '\\';
      out += unit.bytes;
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

using Pair = std::pair<std::string, std::string>;

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
        append_logfmt(line, clipped(value));
      }
      break;
    case config::LogFormat::json:
      for (const auto& [key, value] : pairs(at, entry)) {
        line += line.empty() ? '{' : ',';
        append_json(line, key);
        line += ':';
        append_json(line, clipped(value));
      }
      line += '}';
      break;
  }
  return line;
}

}  // namespace clat::log
