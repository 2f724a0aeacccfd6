// The identity of a network namespace.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/error.hpp"

namespace clat {

struct NetworkNamespace {
  // Both may be given to a new namespace when this one is gone.
  std::uint64_t device = 0, inode = 0;
  std::optional<std::uint64_t> cookie = {};  // never given again (Linux 5.14)
};

// The one that this thread is in.
Result<NetworkNamespace> this_network_namespace();

}  // namespace clat
