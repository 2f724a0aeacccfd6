#include "bpf/map_pin.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cerrno>

#include "bpf/libbpf_log.hpp"

namespace clat::bpf {

namespace {

Result<bpf_map_info> facts_of(int map) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(map, &info, &size) != 0) return failure("ask about a map", errno);
  return info;
}

}  // namespace

Result<bool> take_pinned(bpf_map* map, const Pin& pin) {
  const auto pinned = open_pin(pin);
  if (!pinned) return std::unexpected(pinned.error());
  if (!*pinned) return true;
  const auto info = facts_of(pinned->get());
  if (!info || info->type != bpf_map__type(map) || info->key_size != bpf_map__key_size(map) ||
      info->value_size != bpf_map__value_size(map) || info->max_entries != bpf_map__max_entries(map) ||
      info->map_flags != bpf_map__map_flags(map)) {
    return false;
  }
  if (const int error = bpf_map__reuse_fd(map, pinned->get()); error != 0) {
    return libbpf_failure("take over the map at " + pin.path(), -error);
  }
  return true;
}

Result<> verify_map_pin(int map, const Pin& pin) {
  const auto ours = facts_of(map);
  if (!ours) return std::unexpected(ours.error());
  const auto pinned = open_pin(pin);
  if (!pinned) return std::unexpected(pinned.error());
  if (!*pinned) return failure("no map of ours is pinned at " + pin.path() + " any more");
  const auto theirs = facts_of(pinned->get());
  if (!theirs) return std::unexpected(theirs.error());
  if (theirs->id != ours->id) return failure("another map is pinned at " + pin.path());
  return {};
}

Result<> pin_map(int map, const Pin& pin) {
  if (verify_map_pin(map, pin)) return {};
  if (auto removed = remove_pin(pin); !removed) return removed;
  return make_pin(map, pin);
}

}  // namespace clat::bpf
