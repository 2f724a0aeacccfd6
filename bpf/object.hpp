// The compiled BPF programs, which are part of this executable: compressed, since they take a fourth of their size that
// way.
#pragma once

#include <bpf/libbpf.h>

#include <memory>

#include "core/base/error.hpp"

namespace clat::bpf {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;

// Unpacked and opened, not loaded into the kernel yet.
Result<Object> open_object();

}  // namespace clat::bpf
