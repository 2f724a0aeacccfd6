#include "config/findings.hpp"

#include <algorithm>
#include <numeric>

#include "config/text.hpp"

namespace clat::config {

std::vector<Problem> Findings::problems(std::string_view text) const {
  std::vector<std::size_t> order(list_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [this](std::size_t i) { return std::pair(list_[i].first, i); });

  std::vector<Problem> problems;
  problems.reserve(list_.size());
  for (const auto i : order) {
    const auto& [place, reason] = list_[i];
    problems.push_back({place.line, place.column, reason});
  }
  for (std::size_t i = 0; i < std::min(problems.size(), kShownProblems); ++i) {
    auto [line, caret] = excerpt(line_of(text, problems[i].line), problems[i].column);
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    problems[i].source_line = std::move(line);
    problems[i].caret = caret;
  }
  return problems;
}

}  // namespace clat::config
