// Programs as filters of the clsact qdisc, for kernels without TCX. Other people's filters live beside ours, so ours
// has a handle of its own, and a pref in front of those that take every packet away. The qdisc stays unless we made it
// and nobody uses it.
#pragma once

#include "bpf/hook.hpp"
#include "core/base/error.hpp"

namespace clat::bpf {

// Whether the qdisc was made now: it was not there before.
Result<bool> ensure_clsact(int ifindex);
// Removes the qdisc when no filter is left on it, in either direction.
Result<> remove_empty_clsact(int ifindex);

// Moves it, where it is attached behind such a filter, and no packet passes by. EBUSY, with the reason, when there is
// no place for ours.
Result<> attach_classifier(const Hook& hook);
// Gone afterwards, also when filter, qdisc or interface were gone. What is not ours stays.
Result<> remove_classifier(int ifindex, Flow flow);
Result<> verify_classifier(const Hook& hook);

}  // namespace clat::bpf
