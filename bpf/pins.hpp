// The folder in a bpffs where links and maps outlive the process: below it one folder for each ABI version and network
// namespace, for interfaces are numbered in each namespace anew. Whoever works in one holds a lock on it.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"

namespace clat::bpf {

constexpr char kInterfacesPin[] = "interfaces";
constexpr char kCountersPin[] = "counters";

// Tells the present network namespace from all others: a number never used again (Linux 5.14), below that an inode
// number, which may be used again when the namespace is gone.
Result<std::string> network_namespace();

// "DIR/v2-NAMESPACE"
std::string version_folder(const std::string& bpf_dir, unsigned version, const std::string& space);
// Folders of all ABI versions and namespaces, as full paths in no order; empty when there is no `bpf_dir`.
std::vector<std::string> version_folders(const std::string& bpf_dir);
// Version 1 had no namespace in the name, and wanted a `bpf_dir` for each: what is there is of this one.
bool is_of_namespace(const std::string& folder, const std::string& space);
// Pins named "link-..." in a version folder, as full paths.
std::vector<std::string> link_pins(const std::string& folder);
std::string link_pin(const std::string& folder, int uplink_ifindex, const std::string& hook);

// A version folder that nobody else works in while `lock` is open. The lock ends with the process, however it ends, and
// is not handed to programs that it starts.
struct OwnFolder {
  std::string path;
  std::string space;
  Fd lock;
};
// Makes the folder of this version and namespace, and those above it. They must lie in a bpffs; for one below
// /sys/fs/bpf, where nothing is mounted, it is mounted, as init systems do. EBUSY when somebody works in a folder of
// this namespace, of whatever version.
Result<OwnFolder> take_version_folder(const std::string& bpf_dir, unsigned version);
// EBUSY when somebody else has it, ENOENT when it is gone.
Result<Fd> lock_folder(const std::string& folder);
bool is_on_bpffs(const std::string& path);

Result<> remove_map_pins(const std::string& folder);
// Takes the map pins of a version folder away, and the folder. Not while links are pinned in it.
Result<> remove_linkless_folder(const std::string& folder);
// Removes empty folders that a failed open left.
void remove_empty_folders(const std::string& bpf_dir, const std::string& folder);

}  // namespace clat::bpf
