#include "config/problem.hpp"

#include <algorithm>

namespace clat::config {

std::string render(std::string_view file, const std::vector<Problem>& problems) {
  std::string out;
  for (std::size_t i = 0; i < std::min(problems.size(), kShownProblems); ++i) {
    const Problem& problem = problems[i];
    out.append(file).append(":").append(std::to_string(problem.line)).append(":");
    out.append(std::to_string(problem.column)).append(": error: ").append(problem.reason).append("\n");
    if (problem.source_line.empty()) continue;
    out.append(problem.source_line).append("\n").append(problem.caret, ' ').append("^\n");
  }
  if (problems.size() > kShownProblems) {
    const auto more = problems.size() - kShownProblems;
    out.append(file).append(": ").append(std::to_string(more)).append(more == 1 ? " more error" : " more errors");
    out.append(" (").append(std::to_string(problems.size())).append(" in all)\n");
  }
  return out;
}

}  // namespace clat::config
