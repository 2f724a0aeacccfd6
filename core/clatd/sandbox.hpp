// Gives away everything a translator does not need.
#pragma once

#include <sys/types.h>

#include "core/base/error.hpp"
#include "core/clatd/arguments.hpp"

namespace clat::clatd {

// In two steps, since threads must start between them: with few rights, but while they can. No step of either undoes
// another.

// Bounding set, groups and ids, capabilities, new privileges, death with the parent, descriptors that are not ours.
// `parent` is getppid() as first seen.
Result<> drop_privileges(const Arguments& arguments, pid_t parent);

// Limits and system calls, for all threads. Afterwards the process can read and write the descriptors that the
// arguments name, each as it is meant, read the clock, write to stderr, sleep and exit; anything else kills it.
Result<> shut_in(const Arguments& arguments);

}  // namespace clat::clatd
