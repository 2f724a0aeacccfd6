#include "core/base/trusted_folder.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace clat {
namespace {

constexpr uid_t kRoot = 0, kUs = 1000, kStranger = 65534;

struct stat facts(mode_t mode, uid_t owner) {
  struct stat facts{};
  facts.st_mode = mode;
  facts.st_uid = owner;
  return facts;
}

struct Case {
  const char* what;
  struct stat facts;
  bool own, on_the_way;
};

TEST(Trust, WhoCanChangeWhat) {
  const Case cases[] = {
      {"root's", facts(S_IFDIR | 0755, kRoot), true, true},
      {"ours", facts(S_IFDIR | 0700, kUs), true, true},
      {"a stranger's", facts(S_IFDIR | 0700, kStranger), false, false},
      {"a stranger's, sticky", facts(S_IFDIR | 01777, kStranger), false, false},
      {"root's, writable by its group", facts(S_IFDIR | 0775, kRoot), false, false},
      {"root's, writable by all", facts(S_IFDIR | 0777, kRoot), false, false},
      {"root's, sticky", facts(S_IFDIR | 01777, kRoot), false, true},
      {"root's, sticky and writable by its group", facts(S_IFDIR | 01775, kRoot), false, true},
      {"a symlink of root's", facts(S_IFLNK | 0777, kRoot), true, true},
      {"a stranger's symlink", facts(S_IFLNK | 0777, kStranger), false, false},
      {"a file of ours", facts(S_IFREG | 0600, kUs), true, true},
      {"a stranger's file", facts(S_IFREG | 0600, kStranger), false, false},
      {"a file that all may write", facts(S_IFREG | 0666, kUs), false, false},
  };
  for (const auto& [what, facts, own, on_the_way] : cases) {
    EXPECT_EQ(check_own("/x", facts, kUs).has_value(), own) << what;
    EXPECT_EQ(check_on_the_way("/x", facts, kUs).has_value(), on_the_way) << what;
  }
}

TEST(Trust, TheErrorNamesThePathAndTheOwnerOrTheMode) {
  const auto foreign = check_own("/sys/fs/bpf/clatvisor", facts(S_IFDIR | 0700, kStranger), kUs);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error(),
            (Error{"/sys/fs/bpf/clatvisor belongs to uid 65534 and is not used: remove it, and close the folder above "
                   "to others",
                   EPERM}));
  const auto open = check_own("/x", facts(S_IFDIR | 02770, kRoot), kUs);
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error(), (Error{"/x is writable by others (mode 2770): chmod go-w /x", EPERM}));
  const auto above = check_on_the_way("/x", facts(S_IFDIR | 0755, kStranger), kUs);
  ASSERT_FALSE(above);
  EXPECT_EQ(above.error(), (Error{"/x belongs to uid 65534, who can replace all below: chown root /x", EPERM}));
  const auto no_sticky = check_on_the_way("/x", facts(S_IFDIR | 0777, kRoot), kUs);
  ASSERT_FALSE(no_sticky);
  EXPECT_EQ(no_sticky.error(), (Error{"/x is writable by others and not sticky (mode 0777): chmod go-w /x", EPERM}));
}

class TrustedFolderTest : public testing::Test {
 protected:
  TrustedFolderTest() {
    auto pattern = (std::filesystem::temp_directory_path() / "clatvisor-test-XXXXXX").string();
    top_ = std::filesystem::canonical(::mkdtemp(pattern.data())).string();
  }
  ~TrustedFolderTest() override { std::filesystem::remove_all(top_); }

  // Below the temporary folder, with exactly this mode.
  std::string make(const std::string& name, mode_t mode = 0700) const {
    const auto path = top_ + "/" + name;
    EXPECT_EQ(::mkdir(path.c_str(), mode), 0) << path;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0) << path;
    return path;
  }
  template <class T>
  static int code_of(const Result<T>& opened) {
    return opened ? 0 : opened.error().code;
  }

  std::string top_;
};

TEST_F(TrustedFolderTest, OpensWhatIsOurs) {
  make("a");
  const auto path = make("a/b");
  const auto opened = open_trusted(top_ + "//a/./b/");
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(opened->path, path);
  EXPECT_EQ(opened->path_of("x"), path + "/x");
  EXPECT_EQ(is_in_place(*opened), Result<bool>(true));
}

TEST_F(TrustedFolderTest, TheRootFolder) {
  const auto opened = open_trusted("/");
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(opened->path, "/");
}

TEST_F(TrustedFolderTest, RefusesWhatOthersMayWriteTo) {
  EXPECT_EQ(code_of(open_trusted(make("open", 0777))), EPERM);
  EXPECT_EQ(code_of(open_trusted(make("sticky", 01777))), EPERM);
  EXPECT_EQ(code_of(open_trusted(make("open/below"))), EPERM);
  EXPECT_EQ(code_of(open_trusted(make("sticky/below"))), 0);
}

TEST_F(TrustedFolderTest, FollowsSymlinksOfOursOnTheWay) {
  make("a");
  const auto path = make("a/b");
  ASSERT_EQ(::symlink("a", (top_ + "/relative").c_str()), 0);
  ASSERT_EQ(::symlink((top_ + "/relative/b").c_str(), (top_ + "/absolute").c_str()), 0);
  ASSERT_EQ(::symlink("../a/b", (top_ + "/a/up").c_str()), 0);
  for (const auto* name : {"/relative/b", "/absolute", "/a/up", "/a/../relative/../a/b"}) {
    const auto opened = open_trusted(top_ + name);
    ASSERT_TRUE(opened) << opened.error().text();
    EXPECT_EQ(opened->path, path) << name;
  }
}

// Where the link leads counts, not where it lies.
TEST_F(TrustedFolderTest, ASymlinkIntoAnOpenFolderIsRefused) {
  make("open", 0777);
  make("open/b");
  ASSERT_EQ(::symlink("open/b", (top_ + "/link").c_str()), 0);
  EXPECT_EQ(code_of(open_trusted(top_ + "/link")), EPERM);
}

TEST_F(TrustedFolderTest, SymlinksWithoutEnd) {
  ASSERT_EQ(::symlink("loop", (top_ + "/loop").c_str()), 0);
  EXPECT_EQ(code_of(open_trusted(top_ + "/loop")), ELOOP);
}

TEST_F(TrustedFolderTest, WhatIsNoFolder) {
  make("a");
  ASSERT_EQ(::mkfifo((top_ + "/a/fifo").c_str(), 0600), 0);
  EXPECT_EQ(code_of(open_trusted(top_ + "/a/fifo")), ENOTDIR);
  EXPECT_EQ(code_of(open_trusted(top_ + "/a/fifo/below")), ENOTDIR);
  EXPECT_EQ(code_of(open_trusted(top_ + "/nothing")), ENOENT);
  EXPECT_EQ(code_of(open_trusted(top_ + "/nothing/below")), ENOENT);
  EXPECT_EQ(code_of(open_trusted("a")), EINVAL);
  EXPECT_EQ(code_of(open_trusted("")), EINVAL);
}

TEST_F(TrustedFolderTest, MakesWhatIsMissingStepByStep) {
  std::vector<std::string> made;
  const auto opened = open_trusted(top_ + "/a/b", [&](const Fd& in, const std::string& above, const std::string& name) {
    made.push_back(above + "/" + name);
    return ::mkdirat(in.get(), name.c_str(), 0700) == 0 ? Result<>() : failure("mkdirat", errno);
  });
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(made, (std::vector{top_ + "/a", top_ + "/a/b"}));
}

TEST_F(TrustedFolderTest, WhatIsMadeIsLookedAtAsWell) {
  const auto opened = open_trusted(top_ + "/a", [&](const Fd&, const std::string&, const std::string& name) {
    make(name, 0777);
    return Result<>();
  });
  EXPECT_EQ(code_of(opened), EPERM);
}

TEST_F(TrustedFolderTest, NothingIsMadeInAnOpenFolder) {
  make("open", 0777);
  const auto opened = open_trusted(top_ + "/open/a", [&](const Fd&, const std::string&, const std::string&) {
    ADD_FAILURE();
    return Result<>();
  });
  EXPECT_EQ(code_of(opened), EPERM);
}

TEST_F(TrustedFolderTest, OneInAnother) {
  make("a");
  make("a/b");
  make("a/open", 0777);
  ASSERT_EQ(::symlink("b", (top_ + "/a/link").c_str()), 0);
  const auto a = open_trusted(top_ + "/a");
  ASSERT_TRUE(a);
  const auto b = open_trusted(*a, "b");
  ASSERT_TRUE(b) << b.error().text();
  EXPECT_EQ(b->path, top_ + "/a/b");
  EXPECT_EQ(code_of(open_trusted(*a, "open")), EPERM);
  EXPECT_EQ(code_of(open_trusted(*a, "link")), ENOTDIR);
  EXPECT_EQ(code_of(open_trusted(*a, "nothing")), ENOENT);
}

TEST_F(TrustedFolderTest, AFileIsAsTrustedAsItsFolder) {
  make("a");
  make("open", 0777);
  const auto put = [&](const std::string& name, mode_t mode) {
    const auto path = top_ + "/" + name;
    const Fd fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    EXPECT_EQ(::fchmod(fd.get(), mode), 0);
    return path;
  };
  const auto good = put("a/good", 0755);
  EXPECT_EQ(trusted_file(good), Result<std::string>(good));
  EXPECT_EQ(code_of(trusted_file(put("a/bad", 0775))), EPERM);
  EXPECT_EQ(code_of(trusted_file(put("open/good", 0755))), EPERM);
  EXPECT_EQ(code_of(trusted_file(top_ + "/a")), EACCES);
  EXPECT_EQ(code_of(trusted_file(top_ + "/a/nothing")), ENOENT);
  EXPECT_EQ(code_of(trusted_file("a/good")), EINVAL);
  // By symlinks: what they name counts, and where they lie.
  ASSERT_EQ(::symlink("a/good", (top_ + "/link").c_str()), 0);
  EXPECT_EQ(trusted_file(top_ + "/link"), Result<std::string>(good));
  ASSERT_EQ(::symlink("../open/good", (top_ + "/a/out").c_str()), 0);
  EXPECT_EQ(code_of(trusted_file(top_ + "/a/out")), EPERM);
  ASSERT_EQ(::symlink("../a/good", (top_ + "/open/link").c_str()), 0);
  EXPECT_EQ(code_of(trusted_file(top_ + "/open/link")), EPERM);
  ASSERT_EQ(::symlink("loop", (top_ + "/loop").c_str()), 0);
  EXPECT_EQ(code_of(trusted_file(top_ + "/loop")), ELOOP);
}

TEST_F(TrustedFolderTest, ListsItsNames) {
  const auto path = make("a");
  make("a/b");
  ASSERT_EQ(::symlink("b", (path + "/c").c_str()), 0);
  const auto a = open_trusted(path);
  ASSERT_TRUE(a);
  for (int i = 0; i < 2; ++i) {
    auto names = names_in(*a);
    ASSERT_TRUE(names);
    std::ranges::sort(*names);
    EXPECT_EQ(*names, (std::vector<std::string>{"b", "c"}));
  }
}

TEST_F(TrustedFolderTest, NoticesThatItIsNoLongerInPlace) {
  const auto path = make("a");
  const auto a = open_trusted(path);
  ASSERT_TRUE(a);
  ASSERT_EQ(::rename(path.c_str(), (top_ + "/elsewhere").c_str()), 0);
  EXPECT_EQ(is_in_place(*a), Result<bool>(false));
  make("a");
  EXPECT_EQ(is_in_place(*a), Result<bool>(false)) << "another one of that name";
}

}  // namespace
}  // namespace clat
