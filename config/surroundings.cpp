#include "config/surroundings.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "core/base/trusted_folder.hpp"

namespace clat::config {

namespace {

constexpr std::size_t kLargestAccount = std::size_t{1} << 20;  // bytes for one entry of passwd or group

bool is_executable_file(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

// An entry of passwd or group, by one of the functions that want a buffer and say ERANGE when it is too small.
template <class Entry>
std::optional<Entry> find_entry(int (*find)(const char*, Entry*, char*, std::size_t, Entry**), const std::string& name,
                                std::vector<char>& buffer) {
  buffer.resize(1024);
  Entry entry{};
  Entry* found = nullptr;
  while (find(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE) {
    if (buffer.size() >= kLargestAccount) return std::nullopt;
    buffer.resize(buffer.size() * 2);
  }
  return found == nullptr ? std::nullopt : std::optional(entry);
}

std::optional<Account> find_account(const std::string& user) {
  std::vector<char> buffer;
  const auto entry = find_entry<passwd>(getpwnam_r, user, buffer);
  return entry ? std::optional(Account{entry->pw_uid, entry->pw_gid}) : std::nullopt;
}

std::optional<std::uint32_t> find_gid(const std::string& group_name) {
  std::vector<char> buffer;
  const auto entry = find_entry<group>(getgrnam_r, group_name, buffer);
  return entry ? std::optional<std::uint32_t>(entry->gr_gid) : std::nullopt;
}

std::vector<std::string> clatd_places() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const auto folder = self.parent_path();
  return {(folder / CLATVISOR_CLATD).lexically_normal(), folder / "clatd"};
}

}  // namespace

Surroundings make_surroundings() { return {clatd_places(), is_executable_file, find_account, find_gid, {}}; }

Result<> check_hook(const std::string& path) {
  auto trusted = trusted_file(path);
  if (!trusted) return std::unexpected(std::move(trusted).error());
  if (!is_executable_file(path)) return failure(path + " is not executable", EACCES);
  return {};
}

}  // namespace clat::config
