// The folder in a bpffs where links and maps outlive the process: below it one folder for each ABI version and network
// namespace, for interfaces are numbered in each namespace anew. Whoever works in one holds a lock on it. A folder that
// others may write to, or made, is none of ours, and neither read nor locked nor emptied.
#pragma once

#include <string>
#include <vector>

#include "bpf/pin.hpp"
#include "core/base/error.hpp"
#include "core/base/trusted_folder.hpp"

namespace clat::bpf {

constexpr char kInterfacesPin[] = "interfaces";
constexpr char kCountersPin[] = "counters";

// Tells the present network namespace from all others: a number never used again (Linux 5.14), below that an inode
// number, which may be used again when the namespace is gone.
Result<std::string> network_namespace();

// "v2-NAMESPACE"
std::string version_name(unsigned version, const std::string& space);
// Version 1 had no namespace in the name, and wanted a `bpf_dir` for each: what is there is of this one.
bool is_of_namespace(const std::string& name, const std::string& space);
// Names of the folders of all ABI versions and namespaces, in no order.
Result<std::vector<std::string>> version_names(const TrustedFolder& bpf_dir);

// All named "link-..." in a version folder.
Result<std::vector<Pin>> link_pins(const TrustedFolder& folder);
Pin link_pin(const TrustedFolder& folder, int uplink_ifindex, const std::string& hook);
Result<> remove_map_pins(const TrustedFolder& folder);

// ENOENT when it is not there, EPERM when it, or a folder above it, is not ours alone.
Result<TrustedFolder> open_bpf_dir(const std::string& path);
// A version folder that nobody else works in while it is open. The lock ends with the process, however it ends, and is
// not handed to programs that it starts. EBUSY when somebody has it, ENOENT when it is gone, EPERM as above.
Result<TrustedFolder> lock_folder(const TrustedFolder& bpf_dir, const std::string& name);

// What one process works in.
struct OwnFolders {
  TrustedFolder bpf_dir;
  std::string space;                  // network namespace
  TrustedFolder present;              // of the given ABI version; locked
  std::vector<TrustedFolder> others;  // of other versions, locked
};
// Makes the folder of this version and namespace, and those above it. They must lie in a bpffs; for one below
// /sys/fs/bpf, where nothing is mounted, it is mounted, as init systems do. EBUSY when somebody works in a folder of
// this namespace, of whatever version; EPERM as above.
Result<OwnFolders> take_folders(const std::string& bpf_dir, unsigned version);

// Takes the map pins of a version folder away, and the folder. Not while links are pinned in it.
Result<> remove_linkless_folder(const TrustedFolder& folder);
// Removes empty folders that a failed open left.
void remove_empty_folders(const TrustedFolder& bpf_dir, const TrustedFolder& folder);

}  // namespace clat::bpf
