// The command line of a clatd, and the environment of a hook.
#pragma once

#include <string>
#include <vector>

#include "supervisor/model/hook.hpp"
#include "supervisor/model/specs.hpp"

namespace clat {

// argv[0] included. Descriptors: 3 is the tun; of ours 4 is the control socket and 5 and up further queues of the tun;
// of Android's 4 is the packet socket and 5 the raw one.
std::vector<std::string> clatd_argv(const model::ChildSpec& child);

// All of it: what is not known is empty.
std::vector<std::string> hook_environment(const std::string& uplink, const model::HookState& state);

}  // namespace clat
