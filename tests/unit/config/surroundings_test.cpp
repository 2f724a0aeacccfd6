#include "config/surroundings.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace clat::config {
namespace {

// In the folder of installed programs, another package's clatd may be beside clatvisor: Debian has one.
TEST(Surroundings, ClatdIsLookedForWhereItIsInstalledThenBesideTheProgram) {
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const auto paths = make_surroundings().clatd_paths;
  ASSERT_EQ(paths.size(), 2U);
  EXPECT_TRUE(paths[0].ends_with("/clatvisor/clatd")) << paths[0];
  EXPECT_EQ(paths[0].find("/../"), std::string::npos) << paths[0];
  EXPECT_EQ(paths[1], folder / "clatd");
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

TEST(Surroundings, GroupsComeFromTheSystem) {
  const auto find_group = make_surroundings().find_group;
  EXPECT_EQ(find_group("root"), 0U);
  EXPECT_EQ(find_group("no-such-group-here"), std::nullopt);
}

}  // namespace
}  // namespace clat::config
