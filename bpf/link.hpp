// TCX links (Linux 6.6): a program on a hook for as long as the link is pinned.
#pragma once

#include <vector>

#include "bpf/hook.hpp"
#include "bpf/pin.hpp"
#include "core/base/error.hpp"

namespace clat::bpf {

bool has_tcx(int program_fd);

// Attaches by a pinned link. One that is pinned there, or at one of `older` (those of another ABI version), is updated
// in place, so that never two programs, nor none, are on the hook; what was at `older` moves.
// EAGAIN while a link of our program that lost its pin is still on the hook.
Result<> attach_link(const Hook& hook, const Pin& pin, const std::vector<Pin>& older);
// Detached afterwards, whoever else holds the link. What is pinned there and not ours loses the pin and no more.
Result<> remove_link(const Pin& pin);
// Whether a link of ours is on an interface, of whatever network namespace, or nobody can tell.
bool may_be_attached(const Pin& pin);
// By one system call: a link that lost its pin is off the hook, since nothing else holds it.
Result<> verify_link(const Hook& hook);

}  // namespace clat::bpf
