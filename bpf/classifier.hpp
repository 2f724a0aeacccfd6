// Programs as filters of the clsact qdisc, for kernels without TCX. Other people's filters live beside ours, so ours
// has a handle and a priority of its own, and the qdisc stays unless we made it and nobody uses it.
#pragma once

#include "bpf/hook.hpp"
#include "core/base/error.hpp"

namespace clat::bpf {

// Whether the qdisc was made now: it was not there before.
Result<bool> ensure_clsact(int ifindex);
// Removes the qdisc when no filter is left on it, in either direction.
Result<> remove_empty_clsact(int ifindex);

// EBUSY, with its name, when somebody else's filter is at our place.
Result<> attach_classifier(const Hook& hook);
// Gone afterwards, also when filter, qdisc or interface were gone. A filter at our place that is not ours stays.
Result<> remove_classifier(int ifindex, Flow flow);
Result<> verify_classifier(const Hook& hook);

}  // namespace clat::bpf
