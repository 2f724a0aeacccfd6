#include "bpf/pins.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>

namespace clat::bpf {

namespace fs = std::filesystem;

namespace {

constexpr char kDefaultMount[] = "/sys/fs/bpf";
constexpr char kLinkPrefix[] = "link-";

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  return names;
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// "v1", "v2-4026531840"
bool is_version(std::string_view name) {
  if (!name.starts_with('v')) return false;
  const auto dash = name.find('-');
  return is_number(name.substr(1, dash - 1)) && (dash == name.npos || is_number(name.substr(dash + 1)));
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

Result<> mount_default() {
  if (mount("bpf", kDefaultMount, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "mode=0700") != 0) {
    return failure(std::string("mount a bpffs at ") + kDefaultMount, errno);
  }
  return {};
}

Result<> require_bpffs(const std::string& bpf_dir) {
  fs::path nearest = bpf_dir;
  while (!exists(nearest.string()) && nearest.has_relative_path()) nearest = nearest.parent_path();
  if (is_on_bpffs(nearest.string())) return {};
  if (bpf_dir.starts_with(std::string(kDefaultMount) + "/") && nearest.string().starts_with(kDefaultMount)) {
    return mount_default();
  }
  return failure(bpf_dir + " is not in a bpffs; mount one there: mount -t bpf bpf " + nearest.string());
}

}  // namespace

bool is_on_bpffs(const std::string& path) {
  struct statfs facts{};
  return statfs(path.c_str(), &facts) == 0 && static_cast<std::uint32_t>(facts.f_type) == BPF_FS_MAGIC;
}

Result<std::string> network_namespace() {
  constexpr int kCookieOption = 71;  // SO_NETNS_COOKIE of Linux 5.14, on most machines; older headers lack it
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return failure("open a socket", errno);
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (getsockopt(socket.get(), SOL_SOCKET, kCookieOption, &cookie, &size) == 0) return std::to_string(cookie);
  if (errno != ENOPROTOOPT) return failure("ask for the network namespace's cookie", errno);
  struct stat facts{};
  constexpr char kSelf[] = "/proc/thread-self/ns/net";
  if (stat(kSelf, &facts) != 0) return failure(std::string("look at ") + kSelf, errno);
  return std::to_string(facts.st_ino);
}

std::string version_folder(const std::string& bpf_dir, unsigned version, const std::string& space) {
  return bpf_dir + "/v" + std::to_string(version) + "-" + space;
}

bool is_of_namespace(const std::string& folder, const std::string& space) {
  const auto name = fs::path(folder).filename().string();
  const auto dash = name.find('-');
  return dash == name.npos || name.substr(dash + 1) == space;
}

std::vector<std::string> version_folders(const std::string& bpf_dir) {
  std::vector<std::string> folders;
  for (const auto& name : names_in(bpf_dir)) {
    if (is_version(name)) folders.push_back(bpf_dir + "/" + name);
  }
  return folders;
}

std::vector<std::string> link_pins(const std::string& folder) {
  std::vector<std::string> pins;
  for (const auto& name : names_in(folder)) {
    if (name.starts_with(kLinkPrefix)) pins.push_back(folder + "/" + name);
  }
  return pins;
}

// bpffs reserves names with dots.
std::string link_pin(const std::string& folder, int uplink_ifindex, const std::string& hook) {
  return folder + "/" + kLinkPrefix + std::to_string(uplink_ifindex) + "-" + hook;
}

Result<Fd> lock_folder(const std::string& folder) {
  Fd lock(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return failure("open " + folder, errno);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return failure(folder + " is in use by another clatvisor", EBUSY);
    return failure("lock " + folder, errno);
  }
  // Whoever had it may have removed it.
  struct stat locked{}, there{};
  if (fstat(lock.get(), &locked) != 0 || stat(folder.c_str(), &there) != 0 || locked.st_ino != there.st_ino) {
    return failure("lock " + folder, ENOENT);
  }
  return lock;
}

namespace {

Result<> make_folder(const std::string& folder) {
  fs::path made;
  for (const auto& part : fs::path(folder)) {
    made /= part;
    if (exists(made.string())) continue;
    if (mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) return failure("make " + made.string(), errno);
  }
  return {};
}

Result<Fd> make_and_lock(const std::string& folder) {
  constexpr int kTries = 10;
  Result<Fd> lock = failure("lock " + folder, ENOENT);
  for (int i = 0; i < kTries && !lock && lock.error().code == ENOENT; ++i) {
    auto made = make_folder(folder);
    if (made) {
      lock = lock_folder(folder);
    } else {
      lock = std::unexpected(std::move(made).error());
    }
  }
  return lock;
}

}  // namespace

Result<OwnFolder> take_version_folder(const std::string& bpf_dir, unsigned version) {
  if (bpf_dir.empty() || bpf_dir[0] != '/') return failure("bpf-dir \"" + bpf_dir + "\" is no absolute path");
  if (auto there = require_bpffs(bpf_dir); !there) return std::unexpected(std::move(there).error());
  const auto space = network_namespace();
  if (!space) return std::unexpected(space.error());
  const auto folder = version_folder(bpf_dir, version, *space);
  auto lock = make_and_lock(folder);
  if (!lock) return std::unexpected(std::move(lock).error());
  for (const auto& other : version_folders(bpf_dir)) {
    if (other == folder || !is_of_namespace(other, *space)) continue;
    if (auto free = lock_folder(other); !free && free.error().code == EBUSY) {
      remove_empty_folders(bpf_dir, folder);
      return std::unexpected(std::move(free).error());
    }
  }
  return OwnFolder{folder, *space, std::move(*lock)};
}

Result<> remove_map_pins(const std::string& folder) {
  for (const auto* pin : {kInterfacesPin, kCountersPin}) {
    const auto path = folder + "/" + pin;
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return failure("unlink " + path, errno);
  }
  return {};
}

Result<> remove_linkless_folder(const std::string& folder) {
  if (!link_pins(folder).empty()) return {};
  if (auto removed = remove_map_pins(folder); !removed) return removed;
  if (rmdir(folder.c_str()) != 0 && errno != ENOENT) return failure("remove " + folder, errno);
  return {};
}

void remove_empty_folders(const std::string& bpf_dir, const std::string& folder) {
  if (rmdir(folder.c_str()) == 0) rmdir(bpf_dir.c_str());
}

}  // namespace clat::bpf
