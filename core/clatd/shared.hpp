// Shared by the pumps of one process; any thread may use it.
#pragma once

#include <cstdint>

#include "core/base/token_bucket.hpp"
#include "core/clatd/clock.hpp"
#include "core/clatd/drop_log.hpp"
#include "core/clatd/mtus.hpp"

namespace clat::clatd {

struct Shared {
  SharedMtus mtus;
  TokenBucket errors;  // ICMP errors of our own
  DropLog drops;

  bool may_answer() { return errors.take(now_ns()); }
};

}  // namespace clat::clatd
