#include "bpf/pins.hpp"

#include <linux/magic.h>
#include <sys/mount.h>
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

bool is_version(const std::string& name) {
  return name.size() > 1 && name.size() < 8 && name[0] == 'v' &&
         std::all_of(name.begin() + 1, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
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

std::string version_folder(const std::string& bpf_dir, unsigned version) {
  return bpf_dir + "/v" + std::to_string(version);
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

Result<std::string> make_version_folder(const std::string& bpf_dir, unsigned version) {
  if (bpf_dir.empty() || bpf_dir[0] != '/') return failure("bpf-dir \"" + bpf_dir + "\" is no absolute path");
  if (auto there = require_bpffs(bpf_dir); !there) return std::unexpected(std::move(there).error());
  const auto folder = version_folder(bpf_dir, version);
  fs::path made;
  for (const auto& part : fs::path(folder)) {
    made /= part;
    if (exists(made.string())) continue;
    if (mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) return failure("make " + made.string(), errno);
  }
  return folder;
}

Result<> remove_linkless_folder(const std::string& folder) {
  if (!link_pins(folder).empty()) return {};
  for (const auto* pin : {kInterfacesPin, kCountersPin}) {
    const auto path = folder + "/" + pin;
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return failure("unlink " + path, errno);
  }
  if (rmdir(folder.c_str()) != 0 && errno != ENOENT) return failure("remove " + folder, errno);
  return {};
}

void remove_empty_folders(const std::string& bpf_dir, unsigned version) {
  if (rmdir(version_folder(bpf_dir, version).c_str()) == 0) rmdir(bpf_dir.c_str());
}

}  // namespace clat::bpf
