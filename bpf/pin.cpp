#include "bpf/pin.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace clat::bpf {

namespace {

// bpf(2) takes paths; one that is relative to a descriptor (BPF_F_PATH_FD) came with Linux 6.5.
std::string path_by_descriptor(const Pin& pin) {
  return "/proc/self/fd/" + std::to_string(pin.folder.fd.get()) + "/" + pin.name;
}

}  // namespace

Result<Fd> open_pin(const Pin& pin) {
  // Nobody else can change what is in the folder: this is about what somebody put there while they could.
  struct stat facts{};
  if (fstatat(pin.folder.fd.get(), pin.name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? Result<Fd>() : failure("look at " + pin.path(), errno);
  }
  if (!S_ISREG(facts.st_mode) || !check_own(pin.path(), facts, geteuid())) return Fd();
  Fd object(bpf_obj_get(path_by_descriptor(pin).c_str()));
  if (!object) return errno == ENOENT ? Result<Fd>() : failure("open " + pin.path(), errno);
  return object;
}

Result<> make_pin(int object, const Pin& pin) {
  if (bpf_obj_pin(object, path_by_descriptor(pin).c_str()) != 0) return failure("pin at " + pin.path(), errno);
  return {};
}

Result<> remove_pin(const Pin& pin) {
  if (unlinkat(pin.folder.fd.get(), pin.name.c_str(), 0) != 0 && errno != ENOENT) {
    return failure("unlink " + pin.path(), errno);
  }
  return {};
}

}  // namespace clat::bpf
