// The form of xlat_fuzz's input: the number of its settings, one byte, which are all that the vectors have; then
// packets, a preamble in front of each.
#pragma once

#include <algorithm>

#include "tests/support/vectors.hpp"

namespace clat::test {

struct Preamble {
  xlat::VnetHeader vnet = {};
  std::uint16_t size = 0;  // of the packet; what is not there is cut off
};

inline bool same_settings(const Clat& left, const Clat& right) {
  return left.v4 == right.v4 && left.v6 == right.v6 && left.prefix == right.prefix && left.mtus == right.mtus &&
         left.ranges == right.ranges && left.allow_private_ipv4 == right.allow_private_ipv4 &&
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
