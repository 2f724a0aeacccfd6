// What is pinned in one version folder, out of the kernel.
#pragma once

#include "core/base/error.hpp"
#include "core/base/trusted_folder.hpp"

namespace clat::bpf {

// Links first, then the filters on the interfaces that the maps name, then the maps; the folder stays. It must be of
// the present network namespace, and locked.
Result<> empty_folder(const TrustedFolder& folder);

}  // namespace clat::bpf
