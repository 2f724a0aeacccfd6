// Tun devices: raw IP, a 10-byte virtio header in front of each packet, checksum and segmentation offloads on.
#pragma once

#include <string>

#include "core/fd/fd.hpp"
#include "core/net/error.hpp"

namespace clat::system {

enum class TunOpening {
  create,  // EEXIST when there is a device of that name
  adopt,   // a persistent tun that nobody holds; EBUSY while somebody does
};

struct OpenTun {
  Fd fd;  // non-blocking, close-on-exec
  int ifindex = 0;
};

// The device goes with its last descriptor until keep_tun(). An adopted one keeps what it was.
Result<OpenTun> open_tun(const std::string& name, TunOpening opening);
// Whether the device outlives its last descriptor.
Result<> keep_tun(const Fd& tun, bool keep);

}  // namespace clat::system
