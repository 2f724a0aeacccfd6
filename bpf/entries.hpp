// The values of the maps: made of what is attached, and read back as named counters.
#pragma once

#include <span>

#include "bpf/attachment.hpp"
#include "bpf/clat_abi.h"
#include "bpf/fast_path.hpp"

namespace clat::bpf {

clat_interface uplink_entry(const Attachment& attachment);
clat_interface tun_entry(const Filter& filter);

// Sums the values of all CPUs.
Counters named_counters(std::span<const clat_counters> per_cpu);

}  // namespace clat::bpf
