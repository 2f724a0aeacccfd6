#pragma once

#include <cstdint>
#include <ctime>

namespace clat::clatd {

// CLOCK_MONOTONIC. Read only where a rate is kept, never for a packet that is translated.
inline std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace clat::clatd
