// Tun devices: raw IP, with or without checksum and segmentation offloads.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/model/actions.hpp"

namespace clat::system {

enum class TunOpening {
  create,  // EEXIST when there is a device of that name
  adopt,   // a persistent tun that nobody holds; with one queue EBUSY while somebody does, with more it joins
};

struct OpenTun {
  std::vector<Fd> queues;  // non-blocking, close-on-exec
  int ifindex = 0;
};

// The device goes with its last descriptor until keep_tun(). An adopted one must have been made in this shape.
Result<OpenTun> open_tun(const std::string& name, TunOpening opening, model::TunShape shape);
// Where the device is that a descriptor was opened for: in the network namespace of this process, moved to another by
// somebody, or deleted. Before Linux 5.8 the kernel does not tell, and it counts as here.
enum class TunPlace { here, elsewhere, gone };
TunPlace place_of(const Fd& tun);
// Whether the device outlives its last descriptor.
Result<> keep_tun(const Fd& tun, bool keep);

}  // namespace clat::system
