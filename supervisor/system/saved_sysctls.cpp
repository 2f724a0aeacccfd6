#include "supervisor/system/saved_sysctls.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "supervisor/system/interface_name.hpp"

namespace clat::system {

namespace {

constexpr const char* kNote = "sysctls";

SysctlName split(const std::string& path) {
  SysctlName name;
  std::size_t start = 0;
  for (std::size_t slash; (slash = path.find('/', start)) != std::string::npos; start = slash + 1) {
    name.push_back(path.substr(start, slash - start));
  }
  name.push_back(path.substr(start));
  return name;
}

}  // namespace

Result<SavedSysctls> SavedSysctls::open(StateDir& directory, Sysctl sysctl) {
  SavedSysctls saved(directory, std::move(sysctl));
  const auto lines = directory.read_note(kNote);
  if (!lines) {
    const Error& error = lines.error();
    if (error.code != ENOENT && error.code != ESTALE && error.code != EXDEV && error.code != EBADMSG)
      return std::unexpected(error);
    if (error.code == EBADMSG) saved.forgotten_ = error.what;
    return saved;
  }
  auto table = parse(*lines);
  if (table)
    saved.saved_ = std::move(*table);
  else
    saved.forgotten_ = table.error().what;
  return saved;
}

// sysctl, original, value, then one owner each, for each sysctl.
Result<SavedSysctls::Table> SavedSysctls::parse(const StateDir::Lines& lines) {
  Table table;
  for (std::size_t i = 0; i < lines.size();) {
    if (i + 2 >= lines.size() || lines[i].first != "sysctl" || lines[i + 1].first != "original" ||
        lines[i + 2].first != "value") {
      return failure("note of sysctls is garbage", EBADMSG);
    }
    const SysctlName name = split(lines[i].second);
    // We set nothing else, so nothing else is restored.
    if (name.front() != "net") return failure("note of sysctls names " + lines[i].second, EBADMSG);
    Saved saved{.original = lines[i + 1].second, .value = lines[i + 2].second, .owners = {}};
    for (i += 3; i < lines.size() && lines[i].first == "owner"; ++i) {
      if (!valid_interface_name(lines[i].second)) return failure("note of sysctls is garbage", EBADMSG);
      saved.owners.insert(lines[i].second);
    }
    table.emplace(name, std::move(saved));
  }
  return table;
}

Result<> SavedSysctls::save() {
  if (saved_.empty()) return directory_->erase_note(kNote);
  StateDir::Lines lines;
  for (const auto& [name, saved] : saved_) {
    lines.emplace_back("sysctl", text(name));
    lines.emplace_back("original", saved.original);
    lines.emplace_back("value", saved.value);
    for (const auto& owner : saved.owners) lines.emplace_back("owner", owner);
  }
  return directory_->write_note(kNote, lines);
}

Result<> SavedSysctls::acquire(const SysctlName& name, const std::string& value, const std::string& owner) {
  const auto current = sysctl_.read(name);
  if (!current) return std::unexpected(current.error());
  auto& saved = saved_.try_emplace(name, Saved{.original = *current, .value = value, .owners = {}}).first->second;
  if (saved.value != value) return failure(text(name) + " is held at " + saved.value, EBUSY);
  if (saved.owners.insert(owner).second) {
    if (auto noted = save(); !noted) {
      saved.owners.erase(owner);
      if (saved.owners.empty()) saved_.erase(name);
      return noted;
    }
  }
  return *current == value ? Result<>{} : sysctl_.write(name, value);
}

Result<> SavedSysctls::restore(const SysctlName& name, const Saved& saved) const {
  const auto current = sysctl_.read(name);
  if (!current && current.error().code == ENOENT) return {};
  if (!current) return std::unexpected(current.error());
  return *current == saved.value ? sysctl_.write(name, saved.original) : Result<>{};
}

Result<> SavedSysctls::release(const std::string& owner) {
  Result<> result;
  bool changed = false;
  for (auto entry = saved_.begin(); entry != saved_.end();) {
    auto& [name, saved] = *entry;
    changed |= saved.owners.erase(owner) > 0;
    if (!saved.owners.empty()) {
      ++entry;
      continue;
    }
    if (auto restored = restore(name, saved); !restored) {
      // Stays ours, to be tried again.
      saved.owners.insert(owner);
      result = std::move(restored);
      ++entry;
      continue;
    }
    changed = true;
    entry = saved_.erase(entry);
  }
  if (!changed) return result;
  auto noted = save();
  return result ? noted : result;
}

}  // namespace clat::system
