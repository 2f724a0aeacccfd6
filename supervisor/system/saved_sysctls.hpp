// Sysctls that we set for a while: the value found is restored when the last owner lets go, by a successor too.
#pragma once

#include <map>
#include <set>
#include <string>

#include "core/base/error.hpp"
#include "supervisor/system/state_dir.hpp"
#include "supervisor/system/sysctl.hpp"

namespace clat::system {

// Uses `directory`, which must outlive it.
class SavedSysctls {
 public:
  // Takes over what a killed supervisor of this boot had set. Its garbage is forgotten; `forgotten` then says why.
  static Result<SavedSysctls> open(StateDir& directory, Sysctl sysctl);

  // Sets `value` for `owner`. The value found first is on record before the kernel's changes. EBUSY: another owner
  // holds it at another value.
  Result<> acquire(const SysctlName& name, const std::string& value, const std::string& owner);
  // Lets go of all that `owner` acquired. A value that somebody else has set meanwhile, and a sysctl whose interface
  // is gone, are left alone.
  Result<> release(const std::string& owner);

  [[nodiscard]] const std::string& forgotten() const { return forgotten_; }

 private:
  SavedSysctls(StateDir& directory, Sysctl sysctl) : directory_(&directory), sysctl_(std::move(sysctl)) {}
  struct Saved {
    std::string original;
    std::string value;  // ours
    std::set<std::string> owners;
  };
  using Table = std::map<SysctlName, Saved>;
  static Result<Table> parse(const StateDir::Lines& lines);
  Result<> save();
  Result<> restore(const SysctlName& name, const Saved& saved) const;

  StateDir* directory_;
  Sysctl sysctl_;
  Table saved_;
  std::string forgotten_;
};

}  // namespace clat::system
