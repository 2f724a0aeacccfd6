// A map at its pin.
#pragma once

#include <string>

#include "core/base/error.hpp"

struct bpf_map;

namespace clat::bpf {

// Whether the map pinned at `path` can be this one; also when there is none.
bool fits(const bpf_map* map, const std::string& path);
// The error says why this map is not what is pinned at `path`.
Result<> verify_map_pin(int map, const std::string& path);
// Pins it, in place of whatever is there.
Result<> pin_map(int map, const std::string& path);

}  // namespace clat::bpf
