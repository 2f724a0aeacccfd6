// Classic BPF on a socket.
#pragma once

#include <linux/filter.h>

#include <span>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"

namespace clat {

// What `program` returns 0 for does not come in any more. A socket without a protocol can be given one before its first
// packet.
Result<> attach_filter(const Fd& socket, std::span<const sock_filter> program);

}  // namespace clat
