#pragma once

#include <cstdint>

#include "core/base/error.hpp"

namespace clat::system {

// From the kernel's generator, which waits until it is seeded: early at boot this may block.
Result<std::uint64_t> random_number();

}  // namespace clat::system
