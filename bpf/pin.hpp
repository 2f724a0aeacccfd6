// A name in one of our folders in a bpffs, and the map or link behind it. All of it goes by the folder's descriptor.
#pragma once

#include <string>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/base/trusted_folder.hpp"

namespace clat::bpf {

struct Pin {
  const TrustedFolder& folder;  // outlives the pin
  std::string name;             // bpffs reserves those with dots

  [[nodiscard]] std::string path() const { return folder.path_of(name); }
};

// Empty when there is none, or one that is not ours: somebody else's, or writable by others.
Result<Fd> open_pin(const Pin& pin);
Result<> make_pin(int object, const Pin& pin);
// Gone afterwards, whatever it was; what it names stays as long as others hold it.
Result<> remove_pin(const Pin& pin);

}  // namespace clat::bpf
