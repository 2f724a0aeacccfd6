// What a fuzzer asserts.
#pragma once

#include <cstdlib>

namespace clat::test {

inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace clat::test
