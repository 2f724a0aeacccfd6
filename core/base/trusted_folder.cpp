#include "core/base/trusted_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <deque>
#include <memory>
#include <string_view>

namespace clat {

namespace {

bool has_trusted_owner(const struct stat& facts, uid_t us) { return facts.st_uid == 0 || facts.st_uid == us; }

std::string belongs(const std::string& path, const struct stat& facts) {
  return path + " belongs to uid " + std::to_string(facts.st_uid);
}

std::string mode_of(const struct stat& facts) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", facts.st_mode & 07777U);
  return text.data();
}

bool others_may_write(const struct stat& facts) { return (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0; }

using Names = std::deque<std::string>;

void put_in_front(Names& names, std::string_view path) {
  Names parts;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    if (const auto part = path.substr(0, end); !part.empty() && part != ".") parts.emplace_back(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  names.insert(names.begin(), parts.begin(), parts.end());
}

std::string joined(const std::string& folder, const std::string& name) {
  return folder == "/" ? folder + name : folder + "/" + name;
}

Fd open_step(const Fd& in, const std::string& name) {
  return Fd(openat(in.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

Result<struct stat> facts_of(const Fd& fd, const std::string& path) {
  struct stat facts{};
  if (fstat(fd.get(), &facts) != 0) return failure("look at " + path, errno);
  return facts;
}

Result<TrustedFolder> accept(const Fd& found, const std::string& path) {
  const auto facts = facts_of(found, path);
  if (!facts) return std::unexpected(facts.error());
  if (auto checked = check_own(path, *facts, geteuid()); !checked) return std::unexpected(std::move(checked).error());
  // What O_PATH opened can neither be listed nor locked.
  Fd fd(openat(found.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failure("open " + path, errno);
  return TrustedFolder{std::move(fd), path, facts->st_dev, facts->st_ino};
}

std::string next_of(Names& names) {
  auto name = std::move(names.front());
  names.pop_front();
  return name;
}

// Where the walk along a path has come to.
class Walk {
 public:
  // From the root on; what is to be walked is in `names` then.
  static Result<Walk> along(const std::string& path, Names& names) {
    if (!path.starts_with('/')) return failure("\"" + path + "\" is no absolute path", EINVAL);
    put_in_front(names, path);
    Walk walk;
    if (auto begun = walk.begin(); !begun) return std::unexpected(std::move(begun).error());
    return walk;
  }

  // Into all of `names` but the last so many.
  Result<> go(Names& names, std::size_t rest, const MakeFolder& make) {
    while (names.size() > rest) {
      if (auto stepped = step(next_of(names), names, make); !stepped) return stepped;
    }
    return {};
  }

  // Into `name`, which may be a symlink: then what it names comes next in `names`.
  Result<> step(const std::string& name, Names& names, const MakeFolder& make) {
    if (auto checked = check_on_the_way(path_, facts_, us_); !checked) return checked;
    const auto path = joined(path_, name);
    auto next = open_step(fd_, name);
    if (!next && errno == ENOENT && make) {
      if (auto made = make(fd_, path_, name); !made) return made;
      next = open_step(fd_, name);
    }
    if (!next) return failure("open " + path, errno);
    auto facts = facts_of(next, path);
    if (!facts) return std::unexpected(std::move(facts).error());
    if (S_ISLNK(facts->st_mode)) return follow(next, path, *facts, names);
    if (!S_ISDIR(facts->st_mode)) return failure("open " + path, ENOTDIR);
    fd_ = std::move(next);
    facts_ = *facts;
    path_ = name == ".." ? path_.substr(0, std::max<std::size_t>(path_.rfind('/'), 1)) : path;
    return {};
  }

  // The file of that name. Empty: it is a symlink, and what it names comes next in `names`.
  Result<std::string> file(const std::string& name, Names& names) {
    if (auto checked = check_own(path_, facts_, us_); !checked) return std::unexpected(std::move(checked).error());
    const auto path = joined(path_, name);
    const auto found = open_step(fd_, name);
    if (!found) return failure("open " + path, errno);
    const auto facts = facts_of(found, path);
    if (!facts) return std::unexpected(facts.error());
    if (S_ISLNK(facts->st_mode)) {
      auto followed = follow(found, path, *facts, names);
      return followed ? Result<std::string>("") : std::unexpected(std::move(followed).error());
    }
    if (!S_ISREG(facts->st_mode)) return failure(path + " is no regular file", EACCES);
    auto checked = check_own(path, *facts, us_);
    return checked ? Result<std::string>(path) : std::unexpected(std::move(checked).error());
  }

  Result<TrustedFolder> end() { return accept(fd_, path_); }

 private:
  Result<> begin() {
    fd_ = Fd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd_) return failure("open /", errno);
    path_ = "/";
    auto facts = facts_of(fd_, path_);
    if (!facts) return std::unexpected(std::move(facts).error());
    facts_ = *facts;
    return {};
  }

  Result<> follow(const Fd& link, const std::string& path, const struct stat& facts, Names& names) {
    constexpr int kMostLinks = 40;  // as many as the kernel follows
    if (++links_ > kMostLinks) return failure("open " + path, ELOOP);
    if (auto checked = check_on_the_way(path, facts, us_); !checked) return checked;
    std::array<char, PATH_MAX> target{};
    const auto size = readlinkat(link.get(), "", target.data(), target.size());
    if (size < 0) return failure("read the symlink " + path, errno);
    const std::string_view text(target.data(), static_cast<std::size_t>(size));
    put_in_front(names, text);
    return text.starts_with('/') ? begin() : Result<>();
  }

  uid_t us_ = geteuid();
  Fd fd_;
  std::string path_;
  struct stat facts_{};
  int links_ = 0;
};

}  // namespace

Result<> check_own(const std::string& path, const struct stat& facts, uid_t us) {
  if (!has_trusted_owner(facts, us)) {
    return failure(belongs(path, facts) + " and is not used: remove it, and close the folder above to others", EPERM);
  }
  if (!S_ISLNK(facts.st_mode) && others_may_write(facts)) {
    return failure(path + " is writable by others (mode " + mode_of(facts) + "): chmod go-w " + path, EPERM);
  }
  return {};
}

Result<> check_on_the_way(const std::string& path, const struct stat& facts, uid_t us) {
  if (!has_trusted_owner(facts, us)) {
    return failure(belongs(path, facts) + ", who can replace all below: chown root " + path, EPERM);
  }
  if (S_ISLNK(facts.st_mode) || !others_may_write(facts) || (facts.st_mode & S_ISVTX) != 0) return {};
  return failure(path + " is writable by others and not sticky (mode " + mode_of(facts) + "): chmod go-w " + path,
                 EPERM);
}

Result<TrustedFolder> open_trusted(const std::string& path, const MakeFolder& make) {
  Names names;
  auto walk = Walk::along(path, names);
  if (!walk) return std::unexpected(std::move(walk).error());
  if (auto gone = walk->go(names, 0, make); !gone) return std::unexpected(std::move(gone).error());
  return walk->end();
}

Result<std::string> trusted_file(const std::string& path) {
  Names names;
  auto walk = Walk::along(path, names);
  if (!walk) return std::unexpected(std::move(walk).error());
  for (;;) {
    if (auto gone = walk->go(names, 1, {}); !gone) return std::unexpected(std::move(gone).error());
    if (names.empty()) return failure(path + " is no regular file", EACCES);
    auto file = walk->file(next_of(names), names);
    if (!file || !file->empty()) return file;
  }
}

Result<TrustedFolder> open_trusted(const TrustedFolder& in, const std::string& name) {
  const auto path = in.path_of(name);
  const auto found = open_step(in.fd, name);
  if (!found) return failure("open " + path, errno);
  return accept(found, path);
}

Result<bool> is_in_place(const TrustedFolder& folder) {
  struct stat there{};
  if (lstat(folder.path.c_str(), &there) != 0) {
    return errno == ENOENT ? Result<bool>(false) : failure("look at " + folder.path, errno);
  }
  return there.st_dev == folder.device && there.st_ino == folder.inode;
}

Result<std::vector<std::string>> names_in(const TrustedFolder& folder) {
  // fdopendir() takes the descriptor for its own, and its position is shared: open another.
  const int own = openat(folder.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(own < 0 ? nullptr : fdopendir(own),
                                                    [](DIR* d) { return d == nullptr ? 0 : closedir(d); });
  if (!listing) return failure("list " + folder.path, errno);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

}  // namespace clat
