// Folders in which nobody but root and this process can change anything, opened so that nobody can put another in their
// place meanwhile.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"

namespace clat {

// Whether nobody but root and `us` can change what a folder, file or symlink is or holds. EPERM when somebody can: the
// error names `path`, the owner or the mode, and says what to do.
Result<> check_own(const std::string& path, const struct stat& facts, uid_t us);
// Of a folder or symlink on the way there. Where others may write, it must be sticky, so that they cannot replace what
// root or we put there.
Result<> check_on_the_way(const std::string& path, const struct stat& facts, uid_t us);

// A folder that has passed check_own(), by its descriptor; all on the way to it has passed check_on_the_way().
struct TrustedFolder {
  Fd fd;
  std::string path;  // without symlinks
  dev_t device = 0;
  ino_t inode = 0;

  [[nodiscard]] std::string path_of(const std::string& name) const { return path + "/" + name; }
};

// Makes the missing folder `name`, or says why not.
using MakeFolder = std::function<Result<>(const Fd& in, const std::string& path_of_in, const std::string& name)>;

// Opens an absolute path step by step. EPERM as above; ENOENT where a folder is missing and `make` is none.
Result<TrustedFolder> open_trusted(const std::string& path, const MakeFolder& make = {});
// A folder right in another one; never by a symlink.
Result<TrustedFolder> open_trusted(const TrustedFolder& in, const std::string& name);

// A regular file that only root and this process can change or replace: it and its folder pass check_own(), all on the
// way there check_on_the_way(). Returns its path without symlinks. EPERM as above.
Result<std::string> trusted_file(const std::string& path);

// Whether the folder is still where it was opened.
Result<bool> is_in_place(const TrustedFolder& folder);
// Names in it, "." and ".." aside, in no order.
Result<std::vector<std::string>> names_in(const TrustedFolder& folder);

}  // namespace clat
