#include "bpf/pins.hpp"

#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <string_view>
#include <utility>

#include "core/base/network_namespace.hpp"

namespace clat::bpf {

namespace {

constexpr char kDefaultMount[] = "/sys/fs/bpf";
constexpr char kLinkPrefix[] = "link-";

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// "v1", "v2-4026531840"
bool is_version(std::string_view name) {
  if (!name.starts_with('v')) return false;
  const auto dash = name.find('-');
  return is_number(name.substr(1, dash - 1)) && (dash == name.npos || is_number(name.substr(dash + 1)));
}

bool is_bpffs(const Fd& folder) {
  struct statfs facts{};
  return fstatfs(folder.get(), &facts) == 0 && static_cast<std::uint32_t>(facts.f_type) == BPF_FS_MAGIC;
}

Result<> outside_bpffs(const std::string& path, const std::string& place) {
  return failure(path + " is not in a bpffs; mount one there: mount -t bpf -o mode=0700 bpf " + place);
}

Result<> mount_default() {
  if (mount("bpf", kDefaultMount, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "mode=0700") != 0) {
    return failure(std::string("mount a bpffs at ") + kDefaultMount, errno);
  }
  return {};
}

Result<> make_folder(const Fd& in, const std::string& path) {
  const auto name = path.substr(path.rfind('/') + 1);
  if (mkdirat(in.get(), name.c_str(), 0700) != 0 && errno != EEXIST) return failure("make " + path, errno);
  return {};
}

Result<TrustedFolder> make_bpf_dir(const std::string& path) {
  bool may_mount = path.starts_with(std::string(kDefaultMount) + "/"), mount_first = false;
  const auto make = [&](const Fd& in, const std::string& path_of_in, const std::string& name) -> Result<> {
    if (is_bpffs(in)) return make_folder(in, path_of_in + "/" + name);
    mount_first = may_mount && path_of_in == kDefaultMount;
    return outside_bpffs(path, path_of_in);
  };
  auto made = open_trusted(path, make);
  if (!made && std::exchange(mount_first, false)) {
    if (auto mounted = mount_default(); !mounted) return std::unexpected(std::move(mounted).error());
    made = open_trusted(path, make);
  }
  if (made && !is_bpffs(made->fd)) return std::unexpected(outside_bpffs(path, path).error());
  return made;
}

Result<TrustedFolder> make_and_lock(const TrustedFolder& bpf_dir, const std::string& name) {
  constexpr int kTries = 10;
  Result<TrustedFolder> lock = failure("lock " + bpf_dir.path_of(name), ENOENT);
  for (int i = 0; i < kTries && !lock && lock.error().code == ENOENT; ++i) {
    if (auto made = make_folder(bpf_dir.fd, bpf_dir.path_of(name)); !made) {
      return std::unexpected(std::move(made).error());
    }
    lock = lock_folder(bpf_dir, name);
  }
  return lock;
}

}  // namespace

Result<std::string> network_namespace() {
  const auto here = this_network_namespace();
  if (!here) return std::unexpected(here.error());
  return std::to_string(here->cookie.value_or(here->inode));
}

std::string version_name(unsigned version, const std::string& space) {
  return "v" + std::to_string(version) + "-" + space;
}

bool is_of_namespace(const std::string& name, const std::string& space) {
  const auto dash = name.find('-');
  return dash == name.npos || name.substr(dash + 1) == space;
}

Result<std::vector<std::string>> version_names(const TrustedFolder& bpf_dir) {
  auto names = names_in(bpf_dir);
  if (names) std::erase_if(*names, [](const auto& name) { return !is_version(name); });
  return names;
}

Result<std::vector<Pin>> link_pins(const TrustedFolder& folder) {
  const auto names = names_in(folder);
  if (!names) return std::unexpected(names.error());
  std::vector<Pin> pins;
  for (const auto& name : *names) {
    if (name.starts_with(kLinkPrefix)) pins.push_back({folder, name});
  }
  return pins;
}

Pin link_pin(const TrustedFolder& folder, int uplink_ifindex, const std::string& hook) {
  return {folder, kLinkPrefix + std::to_string(uplink_ifindex) + "-" + hook};
}

Result<> remove_map_pins(const TrustedFolder& folder) {
  for (const auto* name : {kInterfacesPin, kCountersPin}) {
    if (auto removed = remove_pin({folder, name}); !removed) return removed;
  }
  return {};
}

Result<TrustedFolder> open_bpf_dir(const std::string& path) {
  auto folder = open_trusted(path);
  if (folder && !is_bpffs(folder->fd)) return std::unexpected(outside_bpffs(path, path).error());
  return folder;
}

Result<TrustedFolder> lock_folder(const TrustedFolder& bpf_dir, const std::string& name) {
  auto folder = open_trusted(bpf_dir, name);
  if (!folder) return folder;
  // Who can read a folder can lock it. One of ours is made so that nobody else can.
  if (fchmod(folder->fd.get(), 0700) != 0) return failure("close " + folder->path + " to others", errno);
  if (flock(folder->fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return failure(folder->path + " is in use by another clatvisor", EBUSY);
    return failure("lock " + folder->path, errno);
  }
  // Whoever had it may have removed it.
  const auto in_place = is_in_place(*folder);
  if (!in_place) return std::unexpected(in_place.error());
  if (!*in_place) return failure("lock " + folder->path, ENOENT);
  return folder;
}

Result<OwnFolders> take_folders(const std::string& bpf_dir, unsigned version) {
  auto all = make_bpf_dir(bpf_dir);
  if (!all) return std::unexpected(std::move(all).error());
  auto space = network_namespace();
  if (!space) return std::unexpected(std::move(space).error());
  const auto name = version_name(version, *space);
  auto present = make_and_lock(*all, name);
  if (!present) return std::unexpected(std::move(present).error());
  const auto names = version_names(*all);
  if (!names) return std::unexpected(names.error());
  std::vector<TrustedFolder> others;
  for (const auto& other : *names) {
    if (other == name || !is_of_namespace(other, *space)) continue;
    if (auto lock = lock_folder(*all, other)) {
      others.push_back(std::move(*lock));
    } else if (lock.error().code != ENOENT) {
      remove_empty_folders(*all, *present);
      return std::unexpected(std::move(lock).error());
    }
  }
  return OwnFolders{std::move(*all), std::move(*space), std::move(*present), std::move(others)};
}

Result<> remove_linkless_folder(const TrustedFolder& folder) {
  const auto links = link_pins(folder);
  if (!links) return std::unexpected(links.error());
  if (!links->empty()) return {};
  if (auto removed = remove_map_pins(folder); !removed) return removed;
  if (rmdir(folder.path.c_str()) != 0 && errno != ENOENT) return failure("remove " + folder.path, errno);
  return {};
}

void remove_empty_folders(const TrustedFolder& bpf_dir, const TrustedFolder& folder) {
  if (rmdir(folder.path.c_str()) == 0) rmdir(bpf_dir.path.c_str());
}

}  // namespace clat::bpf
