// The facts of this machine that the config is checked against. They are passed in, so that parsing has no effects.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"

namespace clat::config {

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  bool operator==(const Account&) const = default;
};

struct Surroundings {
  std::vector<std::string> clatd_paths;                        // where `clatd: {path: auto}` looks, in order
  std::function<bool(const std::string& path)> is_executable;  // a regular file that may be executed
  std::function<std::optional<Account>(const std::string& user)> find_user;
  std::function<std::optional<std::uint32_t>(const std::string& group)> find_group;  // its gid
  // Whether a hook may be run as it lies there now. None: it is asked when it is to be run.
  std::function<Result<>(const std::string& path)> check_hook = {};
};

// Those of this process: clatd where both are installed, seen from its own executable, then beside that. In this order:
// in the folder of installed programs, another package's clatd may be beside it.
Surroundings make_surroundings();
// For Surroundings::check_hook.
Result<> check_hook(const std::string& path);

}  // namespace clat::config
