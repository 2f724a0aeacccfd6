// libbpf prints to stderr, which is not its to write to. Its warnings are kept here for the next Error instead.
#pragma once

#include <string>

#include "core/base/error.hpp"

namespace clat::bpf {

// Takes libbpf's messages from now on, in the whole process.
void capture_libbpf_log();
// Forgets what was said about earlier calls.
void clear_libbpf_log();
// The failure of a libbpf call, with the last lines that libbpf had to say about it. `code` is a positive errno.
std::unexpected<Error> libbpf_failure(std::string what, int code);

}  // namespace clat::bpf
