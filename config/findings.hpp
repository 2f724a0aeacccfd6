// Collects the errors that the steps of reading a config find.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/problem.hpp"

namespace clat::config {

struct Place {
  unsigned line = 1;
  unsigned column = 1;
  auto operator<=>(const Place&) const = default;
};

class Findings {
 public:
  void add(const Place& place, std::string reason) { list_.emplace_back(place, std::move(reason)); }
  [[nodiscard]] bool empty() const { return list_.empty(); }

  // In the order of the file. Only those that render() shows carry their source line.
  [[nodiscard]] std::vector<Problem> problems(std::string_view text) const;

 private:
  std::vector<std::pair<Place, std::string>> list_;
};

}  // namespace clat::config
