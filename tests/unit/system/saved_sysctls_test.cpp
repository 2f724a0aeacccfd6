#include "supervisor/system/saved_sysctls.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "temporary_directory.hpp"

namespace clat::system {
namespace {

using test::contents;
using test::put_contents;
using test::TemporaryDirectory;

const Origin kHere{.boot = "boot-1", .namespace_ = "4:1"};
const SysctlName kProxy{"net", "proxy_ndp"};
const SysctlName kDelay{"net", "wan0", "proxy_delay"};

class SavedSysctlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    put_contents(root / "sys/net/proxy_ndp", "0\n");
    put_contents(root / "sys/net/wan0/proxy_delay", "80\n");
    start();
  }
  // As a new process does; the one before is gone without a word.
  void start(const Origin& origin = kHere) {
    saved.reset();
    state.reset();
    auto opened = StateDir::open(root / "state", origin);
    ASSERT_TRUE(opened) << opened.error().text();
    state.emplace(std::move(*opened));
    auto table = SavedSysctls::open(*state, Sysctl(root / "sys"));
    ASSERT_TRUE(table) << table.error().text();
    saved.emplace(std::move(*table));
  }
  std::string proxy_ndp() { return *Sysctl(root / "sys").read(kProxy); }
  std::string proxy_delay() { return *Sysctl(root / "sys").read(kDelay); }

  TemporaryDirectory root;
  std::optional<StateDir> state;
  std::optional<SavedSysctls> saved;
};

TEST_F(SavedSysctlsTest, TheLastOwnerRestores) {
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan1"));
  ASSERT_TRUE(saved->release("wan0"));
  EXPECT_EQ(proxy_ndp(), "1");
  ASSERT_TRUE(saved->release("wan1"));
  EXPECT_EQ(proxy_ndp(), "0");
}

TEST_F(SavedSysctlsTest, AcquiringTwiceIsOnce) {
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  ASSERT_TRUE(saved->release("wan0"));
  EXPECT_EQ(proxy_ndp(), "0");
  EXPECT_TRUE(saved->release("wan0"));
}

TEST_F(SavedSysctlsTest, AReleaseLetsGoOfAllOfAnOwner) {
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  ASSERT_TRUE(saved->acquire(kDelay, "0", "wan0"));
  EXPECT_EQ(proxy_delay(), "0");
  ASSERT_TRUE(saved->release("wan0"));
  EXPECT_EQ(proxy_ndp(), "0");
  EXPECT_EQ(proxy_delay(), "80");
  EXPECT_FALSE(std::filesystem::exists(root / "state/sysctls"));
}

TEST_F(SavedSysctlsTest, ASuccessorRestoresWhatItsPredecessorSet) {
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  start();
  EXPECT_EQ(proxy_ndp(), "1");
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  ASSERT_TRUE(saved->release("wan0"));
  EXPECT_EQ(proxy_ndp(), "0");
}

TEST_F(SavedSysctlsTest, ASuccessorThatNoLongerWantsItRestoresToo) {
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan1"));
  start();
  ASSERT_TRUE(saved->release("wan1"));
  EXPECT_EQ(proxy_ndp(), "1");
  ASSERT_TRUE(saved->release("wan0"));
  EXPECT_EQ(proxy_ndp(), "0");
}

TEST_F(SavedSysctlsTest, AnotherBootsValuesAreNotRestored) {
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  start({.boot = "boot-2", .namespace_ = "4:1"});
  ASSERT_TRUE(saved->release("wan0"));
  EXPECT_EQ(proxy_ndp(), "1");
}

TEST_F(SavedSysctlsTest, WhatSomebodyElseSetMeanwhileStays) {
  ASSERT_TRUE(saved->acquire(kDelay, "0", "wan0"));
  put_contents(root / "sys/net/wan0/proxy_delay", "33\n");
  ASSERT_TRUE(saved->release("wan0"));
  EXPECT_EQ(proxy_delay(), "33");
}

TEST_F(SavedSysctlsTest, AnInterfaceThatIsGoneNeedsNoRestoring) {
  ASSERT_TRUE(saved->acquire(kDelay, "0", "wan0"));
  std::filesystem::remove_all(root / "sys/net/wan0");
  EXPECT_TRUE(saved->release("wan0"));
}

TEST_F(SavedSysctlsTest, AnInterfaceThatCameBackIsSetAgain) {
  ASSERT_TRUE(saved->acquire(kDelay, "0", "wan0"));
  put_contents(root / "sys/net/wan0/proxy_delay", "80\n");
  ASSERT_TRUE(saved->acquire(kDelay, "0", "wan0"));
  EXPECT_EQ(proxy_delay(), "0");
}

TEST_F(SavedSysctlsTest, TwoValuesForOneSysctlAreRefused) {
  ASSERT_TRUE(saved->acquire(kProxy, "1", "wan0"));
  const auto second = saved->acquire(kProxy, "2", "wan1");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), (Error{"net/proxy_ndp is held at 1", EBUSY}));
}

TEST_F(SavedSysctlsTest, AMissingSysctlIsAnErrorAndLeavesNothing) {
  EXPECT_EQ(saved->acquire({"net", "none"}, "1", "wan0").error().code, ENOENT);
  EXPECT_FALSE(std::filesystem::exists(root / "state/sysctls"));
}

TEST_F(SavedSysctlsTest, GarbageIsForgottenAndReported) {
  const std::string header = "format=1\nboot=boot-1\nnamespace=4:1\n";
  for (const char* body : {"sysctl=net/x\n", "sysctl=net/x\noriginal=0\nowner=wan0\n", "original=0\n", "x",
                           "sysctl=kernel/core_pattern\noriginal=|/x\nvalue=y\nowner=wan0\n",
                           "sysctl=net/x\noriginal=0\nvalue=1\nowner=a/b\n"}) {
    put_contents(root / "state/sysctls", header + body);
    start();
    EXPECT_NE(saved->forgotten(), "") << body;
    EXPECT_TRUE(saved->release("wan0"));
  }
}

}  // namespace
}  // namespace clat::system
