// The folder in a bpffs where links and maps outlive the process: one folder per ABI version below it.
#pragma once

#include <string>
#include <vector>

#include "core/net/error.hpp"

namespace clat::bpf {

constexpr char kInterfacesPin[] = "interfaces";
constexpr char kCountersPin[] = "counters";

// "DIR/v1"
std::string version_folder(const std::string& bpf_dir, unsigned version);
// Folders of ABI versions, this one's included, as full paths in no order; empty when there is no `bpf_dir`.
std::vector<std::string> version_folders(const std::string& bpf_dir);
// Pins named "link-..." in a version folder, as full paths.
std::vector<std::string> link_pins(const std::string& folder);
std::string link_pin(const std::string& folder, int uplink_ifindex, const std::string& hook);

// Makes the version folder and those above it. They must lie in a bpffs; for one below /sys/fs/bpf, where nothing is
// mounted, it is mounted, as init systems do.
Result<std::string> make_version_folder(const std::string& bpf_dir, unsigned version);
bool is_on_bpffs(const std::string& path);

// Takes the map pins of a version folder away, and the folder. Not while links are pinned in it.
Result<> remove_linkless_folder(const std::string& folder);
// Removes empty folders that a failed open left.
void remove_empty_folders(const std::string& bpf_dir, unsigned version);

}  // namespace clat::bpf
