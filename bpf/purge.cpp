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
#include "bpf/pins.hpp"
#include "core/base/fd.hpp"

namespace clat::bpf {

namespace {

struct Seen {
  std::uint32_t ifindex = 0;
  bool own_qdisc = false;
};

// The interfaces of a pinned map. Every ABI version keys it by ifindex; what the values hold only this one knows.
std::vector<Seen> interfaces_in(const std::string& pin) {
  std::vector<Seen> seen;
  const Fd map(bpf_obj_get(pin.c_str()));
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (!map || bpf_obj_get_info_by_fd(map.get(), &info, &size) != 0 || info.key_size != sizeof(std::uint32_t)) {
    return seen;
  }
  std::uint32_t key = 0;
  for (const void* last = nullptr; seen.size() < info.max_entries && bpf_map_get_next_key(map.get(), last, &key) == 0;
       last = &key) {
    clat_interface entry{};
    const bool known = info.value_size == sizeof(entry) && bpf_map_lookup_elem(map.get(), &key, &entry) == 0;
    seen.push_back({key, known && (entry.flags & CLAT_FLAG_OWN_QDISC) != 0});
  }
  return seen;
}

Result<> purge_classifiers(const std::vector<Seen>& interfaces) {
  Result<> first;
  const auto keep = [&](Result<> result) {
    if (!result && first) first = std::move(result);
  };
  for (const auto& [number, own_qdisc] : interfaces) {
    const auto ifindex = static_cast<int>(number);
    keep(remove_classifier(ifindex, Flow::ingress));
    keep(remove_classifier(ifindex, Flow::egress));
    if (own_qdisc) keep(remove_empty_clsact(ifindex));
  }
  return first;
}

Result<> remove_links(const std::string& folder) {
  Result<> first;
  for (const auto& pin : link_pins(folder)) {
    if (auto removed = remove_link(pin); !removed && first) first = std::move(removed);
  }
  return first;
}

// Of another network namespace: nobody can tell from here what its filters are on, only whether its links are. Where
// they are, a supervisor may come back to them.
Result<> purge_foreign(const std::string& folder) {
  if (std::ranges::any_of(link_pins(folder), is_attached)) return {};
  if (auto removed = remove_links(folder); !removed) return removed;
  return remove_linkless_folder(folder);
}

Result<> purge_own(const std::string& folder) {
  if (auto emptied = empty_folder(folder); !emptied) return emptied;
  return remove_linkless_folder(folder);
}

}  // namespace

Result<> empty_folder(const std::string& folder) {
  auto result = remove_links(folder);
  if (auto removed = purge_classifiers(interfaces_in(folder + "/" + kInterfacesPin)); !removed && result) {
    result = std::move(removed);
  }
  if (auto removed = remove_map_pins(folder); !removed && result) result = std::move(removed);
  return result;
}

Result<> FastPath::purge(const std::string& bpf_dir) {
  if (access(bpf_dir.c_str(), F_OK) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return failure("look into " + bpf_dir, errno);
  }
  if (!is_on_bpffs(bpf_dir)) return failure(bpf_dir + " is not in a bpffs");
  capture_libbpf_log();
  const auto space = network_namespace();
  if (!space) return std::unexpected(space.error());
  Result<> first;
  const auto keep = [&](Result<> result) {
    if (!result && first) first = std::move(result);
  };
  for (const auto& folder : version_folders(bpf_dir)) {
    const bool own = is_of_namespace(folder, *space);
    const auto lock = lock_folder(folder);
    if (lock) {
      keep(own ? purge_own(folder) : purge_foreign(folder));
    } else if (own && lock.error().code != ENOENT) {
      keep(std::unexpected(lock.error()));
    }
  }
  // Other namespaces' folders may be left in it.
  if (rmdir(bpf_dir.c_str()) != 0 && errno != ENOENT && (errno != ENOTEMPTY || version_folders(bpf_dir).empty())) {
    keep(failure("remove " + bpf_dir, errno));
  }
  return first;
}

}  // namespace clat::bpf
