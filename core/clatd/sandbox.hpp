// Gives away everything a translator does not need.
#pragma once

#include <sys/types.h>

#include <optional>

#include "core/clatd/arguments.hpp"

namespace clat::clatd {

struct SandboxFault {
  const char* what;
  int code;  // errno
};

// Ids, capabilities, new privileges, death with the parent, limits, system calls, in an order where none undoes
// another. `parent` is getppid() as first seen. Afterwards the process can read and write the tun, talk on the control
// fd, write to stderr, sleep and exit; anything else kills it.
std::optional<SandboxFault> enter_sandbox(const Arguments& arguments, pid_t parent);

}  // namespace clat::clatd
