// FastPath::purge: everything ours out of the kernel, with no programs loaded.
#include "bpf/purge.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "bpf/classifier.hpp"
#include "bpf/clat_abi.h"
#include "bpf/fast_path.hpp"
#include "bpf/libbpf_log.hpp"
#include "bpf/link.hpp"
#include "bpf/pin.hpp"
#include "bpf/pins.hpp"
#include "core/base/first_error.hpp"

namespace clat::bpf {

namespace {

struct Seen {
  std::uint32_t ifindex = 0;
  bool own_qdisc = false;
};

// The interfaces of a pinned map. Every ABI version keys it by ifindex; what the values hold only this one knows.
std::vector<Seen> interfaces_in(const Pin& pin) {
  std::vector<Seen> seen;
  const auto map = open_pin(pin);
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (!map || !*map || bpf_obj_get_info_by_fd(map->get(), &info, &size) != 0 ||
      info.key_size != sizeof(std::uint32_t)) {
    return seen;
  }
  std::uint32_t key = 0;
  for (const void* last = nullptr; seen.size() < info.max_entries && bpf_map_get_next_key(map->get(), last, &key) == 0;
       last = &key) {
    clat_interface entry{};
    const bool known = info.value_size == sizeof(entry) && bpf_map_lookup_elem(map->get(), &key, &entry) == 0;
    seen.push_back({key, known && (entry.flags & CLAT_FLAG_OWN_QDISC) != 0});
  }
  return seen;
}

Result<> purge_classifiers(const std::vector<Seen>& interfaces) {
  Result<> first;
  for (const auto& [number, own_qdisc] : interfaces) {
    const auto ifindex = static_cast<int>(number);
    note(first, remove_classifier(ifindex, Flow::ingress));
    note(first, remove_classifier(ifindex, Flow::egress));
    if (own_qdisc) note(first, remove_empty_clsact(ifindex));
  }
  return first;
}

Result<> remove_links(const std::vector<Pin>& pins) {
  Result<> first;
  for (const auto& pin : pins) {
    note(first, remove_link(pin));
  }
  return first;
}

// Of another network namespace: nobody can tell from here what its filters are on, only whether its links are. Where
// they are, a supervisor may come back to them.
Result<> purge_elsewhere(const TrustedFolder& folder) {
  const auto pins = link_pins(folder);
  if (!pins) return std::unexpected(pins.error());
  if (std::ranges::any_of(*pins, may_be_attached)) return {};
  if (auto removed = remove_links(*pins); !removed) return removed;
  return remove_linkless_folder(folder);
}

Result<> purge_here(const TrustedFolder& folder) {
  if (auto emptied = empty_folder(folder); !emptied) return emptied;
  return remove_linkless_folder(folder);
}

}  // namespace

Result<> empty_folder(const TrustedFolder& folder) {
  const auto pins = link_pins(folder);
  auto result = pins ? remove_links(*pins) : std::unexpected(pins.error());
  note(result, purge_classifiers(interfaces_in({folder, kInterfacesPin})));
  note(result, remove_map_pins(folder));
  return result;
}

Result<> FastPath::purge(const std::string& path) {
  const auto bpf_dir = open_bpf_dir(path);
  if (!bpf_dir) {
    const int code = bpf_dir.error().code;
    return code == ENOENT || code == ENOTDIR ? Result<>() : std::unexpected(bpf_dir.error());
  }
  capture_libbpf_log();
  const auto space = network_namespace();
  if (!space) return std::unexpected(space.error());
  const auto names = version_names(*bpf_dir);
  if (!names) return std::unexpected(names.error());
  Result<> first;
  for (const auto& name : *names) {
    const bool here = is_of_namespace(name, *space);
    if (const auto folder = lock_folder(*bpf_dir, name)) {
      note(first, here ? purge_here(*folder) : purge_elsewhere(*folder));
    } else if (folder.error().code != ENOENT && (here || folder.error().code != EBUSY)) {
      note(first, std::unexpected(folder.error()));
    }
  }
  // Other namespaces' folders may be left in it.
  const int code = rmdir(bpf_dir->path.c_str()) == 0 ? 0 : errno;
  const auto rest = version_names(*bpf_dir);
  if (code != 0 && code != ENOENT && (code != ENOTEMPTY || (rest && rest->empty()))) {
    note(first, failure("remove " + bpf_dir->path, code));
  }
  return first;
}

}  // namespace clat::bpf
