// The settings that xlat_fuzz runs under: all that the vectors have. Their number is one byte of its input.
#pragma once

#include <algorithm>

#include "tests/support/vectors.hpp"

namespace clat::test {

inline bool same_settings(const Clat& left, const Clat& right) {
  return left.v4 == right.v4 && left.v6 == right.v6 && left.prefix == right.prefix && left.mtus == right.mtus &&
         left.ranges == right.ranges && left.private_in_wkp == right.private_in_wkp &&
         left.may_answer == right.may_answer;
}

inline const std::vector<Clat>& all_settings() {
  static const auto all = [] {
    std::vector<Clat> different;
    for (const auto& vector : vectors()) {
      const auto same = [&](const Clat& clat) { return same_settings(clat, vector.clat); };
      if (std::ranges::none_of(different, same)) different.push_back(vector.clat);
    }
    return different;
  }();
  return all;
}

}  // namespace clat::test
