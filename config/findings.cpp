#include "config/findings.hpp"

#include <algorithm>

#include "config/text.hpp"

namespace clat::config {

std::vector<Problem> Findings::problems(std::string_view text) const {
  std::vector<Problem> problems;
  problems.reserve(list_.size());
  for (const auto& [place, reason] : list_) problems.push_back({place.line, place.column, reason, "", 0});
  std::ranges::stable_sort(problems, {}, [](const Problem& p) { return std::pair(p.line, p.column); });
  for (std::size_t i = 0; i < std::min(problems.size(), kShownProblems); ++i) {
    auto [line, caret] = excerpt(line_of(text, problems[i].line), problems[i].column);
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    problems[i].source_line = std::move(line);
    problems[i].caret = caret;
  }
  return problems;
}

}  // namespace clat::config
