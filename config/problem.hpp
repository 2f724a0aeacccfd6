// What is wrong in a config file, and where.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace clat::config {

struct Problem {
  unsigned line = 1;          // 1-based; 1:1 also stands for the file as a whole
  unsigned column = 1;        // 1-based, in characters
  std::string reason{};       // one printable line
  std::string source_line{};  // harmless to print, at most 120 columns of it; empty: there is none to show
  unsigned caret = 0;         // columns in front of the place in source_line

  bool operator==(const Problem&) const = default;
};

constexpr std::size_t kShownProblems = 20;

// "FILE:LINE:COL: error: REASON", the source line and a caret, for each of the first kShownProblems; then a count if
// there are more. Ends in a newline.
std::string render(std::string_view file, const std::vector<Problem>& problems);

}  // namespace clat::config
