#include "config/surroundings.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace clat::config {

namespace {

constexpr std::size_t kLargestAccount = std::size_t{1} << 20;  // bytes for one passwd entry

bool is_executable_file(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

std::optional<Account> find_account(const std::string& user) {
  std::vector<char> buffer(1024);
  passwd entry{};
  passwd* found = nullptr;
  while (getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE) {
    if (buffer.size() >= kLargestAccount) return std::nullopt;
    buffer.resize(buffer.size() * 2);
  }
  if (found == nullptr) return std::nullopt;
  return Account{found->pw_uid, found->pw_gid};
}

std::vector<std::string> clatd_places() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const auto folder = self.parent_path();
  return {(folder / CLATVISOR_CLATD).lexically_normal(), folder / "clatd"};
}

}  // namespace

Surroundings make_surroundings() { return {clatd_places(), is_executable_file, find_account}; }

}  // namespace clat::config
