#include "supervisor/ctl/request.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <vector>

namespace clat::ctl {

namespace {

struct Row {
  std::string_view name;
  Verb verb;
  std::size_t least, most;  // words that follow, options aside
  std::string_view options;
};
constexpr std::array<Row, 9> kVerbs{{
    {"status", Verb::status, 0, 1, "--json --color --healthy"},
    {"show", Verb::show, 2, 2, ""},
    {"explain", Verb::explain, 0, 1, "--color"},
    {"events", Verb::events, 0, 0, "--follow"},
    {"metrics", Verb::metrics, 0, 0, ""},
    {"check", Verb::check, 0, 0, ""},
    {"reload", Verb::reload, 0, 0, ""},
    {"restart", Verb::restart, 1, 1, ""},
    {"handover", Verb::handover, 0, 0, ""},
}};

struct Option {
  std::string_view name;
  bool Request::* flag;
};
constexpr std::array<Option, 4> kOptions{{{"--json", &Request::json},
                                          {"--color", &Request::colour},
                                          {"--healthy", &Request::healthy},
                                          {"--follow", &Request::follow}}};

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  for (const auto word : line | std::views::split(' ')) words.emplace_back(word.begin(), word.end());
  return words;
}

bool has_word(std::string_view all, std::string_view word) {
  const auto words = split(all);
  return std::ranges::find(words, word) != words.end();
}

std::unexpected<std::string> refuse(std::string_view verb, std::string_view why) {
  return std::unexpected(std::string(verb).append(": ").append(why));
}

}  // namespace

std::expected<Request, std::string> parse(std::string_view line) {
  if (line.size() > kLongestRequest) return std::unexpected("the request is too long");
  const auto printable = [](char letter) { return static_cast<unsigned char>(letter) >= ' ' && letter != 0x7f; };
  if (!std::ranges::all_of(line, printable)) return std::unexpected("the request holds control characters");
  auto words = split(line);
  if (words.empty()) return std::unexpected("the request is empty");
  const auto row = std::ranges::find(kVerbs, words.front(), &Row::name);
  if (row == kVerbs.end()) return std::unexpected("there is no command '" + std::string(words.front()) + "'");

  Request request{.verb = row->verb};
  std::vector<std::string> names;
  for (const auto word : words | std::views::drop(1)) {
    // No name is empty: one that is would mean all interfaces.
    if (word.empty()) return refuse(row->name, "there is a space too many");
    if (!word.starts_with("--")) {
      names.emplace_back(word);
      continue;
    }
    const auto option = std::ranges::find(kOptions, word, &Option::name);
    if (option == kOptions.end() || !has_word(row->options, word)) {
      return refuse(row->name, "there is no option '" + std::string(word) + "'");
    }
    request.*(option->flag) = true;
  }
  if (names.size() < row->least)
    return refuse(row->name, row->most == 2 ? "IFACE FIELD is missing" : "IFACE is missing");
  if (names.size() > row->most) return refuse(row->name, "there is a word too many");
  if (!names.empty()) request.iface = std::move(names[0]);
  if (names.size() > 1) request.field = std::move(names[1]);
  return request;
}

bool changes(Verb verb) {
  switch (verb) {
    case Verb::reload:
    case Verb::restart:
    case Verb::handover: return true;
    case Verb::status:
    case Verb::show:
    case Verb::explain:
    case Verb::events:
    case Verb::metrics:
    case Verb::check: return false;
  }
  return true;
}

}  // namespace clat::ctl
