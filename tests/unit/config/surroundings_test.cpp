#include "config/surroundings.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace clat::config {
namespace {

TEST(Surroundings, ClatdIsLookedForBesideTheProgramThenInLibexec) {
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  const auto up = self.parent_path().parent_path();
  EXPECT_EQ(make_surroundings().clatd_paths,
            (std::vector<std::string>{self.parent_path() / "clatd", up / "libexec/clatvisor/clatd"}));
}

TEST(Surroundings, ExecutableMeansARegularFile) {
  const auto is_executable = make_surroundings().is_executable;
  EXPECT_TRUE(is_executable("/proc/self/exe"));
  EXPECT_TRUE(is_executable("/bin/sh"));
  EXPECT_FALSE(is_executable("/bin"));         // may be entered
  EXPECT_FALSE(is_executable("/etc/passwd"));  // has no x
  EXPECT_FALSE(is_executable("/nonexistent"));
  EXPECT_FALSE(is_executable("/dev/null"));
}

TEST(Surroundings, UsersComeFromTheSystem) {
  const auto find_user = make_surroundings().find_user;
  EXPECT_EQ(find_user("root"), (Account{0, 0}));
  EXPECT_EQ(find_user("no-such-user-here"), std::nullopt);
  EXPECT_EQ(find_user(""), std::nullopt);
}

}  // namespace
}  // namespace clat::config
