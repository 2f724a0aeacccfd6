#include "bpf/map_pin.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/fd.hpp"

namespace clat::bpf {

bool fits(const bpf_map* map, const std::string& path) {
  const Fd pinned(bpf_obj_get(path.c_str()));
  if (!pinned) return true;
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(pinned.get(), &info, &size) == 0 && info.type == bpf_map__type(map) &&
         info.key_size == bpf_map__key_size(map) && info.value_size == bpf_map__value_size(map) &&
         info.max_entries == bpf_map__max_entries(map) && info.map_flags == bpf_map__map_flags(map);
}

Result<> verify_map_pin(int map, const std::string& path) {
  bpf_map_info ours{}, theirs{};
  std::uint32_t size = sizeof(ours);
  if (bpf_obj_get_info_by_fd(map, &ours, &size) != 0) return failure("ask about a map", errno);
  const Fd pinned(bpf_obj_get(path.c_str()));
  if (!pinned) return failure("the map is not pinned at " + path + " any more", errno);
  size = sizeof(theirs);
  if (bpf_obj_get_info_by_fd(pinned.get(), &theirs, &size) != 0) return failure("ask about the map at " + path, errno);
  if (theirs.id != ours.id) return failure("another map is pinned at " + path);
  return {};
}

Result<> pin_map(int map, const std::string& path) {
  if (verify_map_pin(map, path)) return {};
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return failure("unlink " + path, errno);
  if (bpf_obj_pin(map, path.c_str()) != 0) return failure("pin a map at " + path, errno);
  return {};
}

}  // namespace clat::bpf
