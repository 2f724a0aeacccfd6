// TCX links (Linux 6.6): a program on a hook for as long as the link is pinned.
#pragma once

#include <string>
#include <vector>

#include "bpf/hook.hpp"
#include "core/base/error.hpp"

namespace clat::bpf {

bool has_tcx(int program_fd);

// Attaches by a link pinned at `path`. A link that is pinned there, or at one of `older` (those of another ABI
// version), is updated in place, so that never two programs, nor none, are on the hook; what was at `older` moves.
Result<> attach_link(const Hook& hook, const std::string& path, const std::vector<std::string>& older);
// Detached afterwards, whoever else holds the link.
Result<> remove_link(const std::string& path);
// Whether it is on an interface, of whatever network namespace.
bool is_attached(const std::string& path);
// By one system call: a link that lost its pin is off the hook, since nothing else holds it.
Result<> verify_link(const Hook& hook);

}  // namespace clat::bpf
