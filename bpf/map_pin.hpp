// A map at its pin.
#pragma once

#include "bpf/pin.hpp"
#include "core/base/error.hpp"

struct bpf_map;

namespace clat::bpf {

// Has `map`, not loaded yet, be the one that is pinned, where one of ours is. False when that cannot be.
Result<bool> take_pinned(bpf_map* map, const Pin& pin);
// The error says why this map is not what is pinned there.
Result<> verify_map_pin(int map, const Pin& pin);
// Pins it, in place of whatever is there.
Result<> pin_map(int map, const Pin& pin);

}  // namespace clat::bpf
