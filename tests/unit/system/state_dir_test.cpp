#include "supervisor/system/state_dir.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>

#include "supervisor/system/random.hpp"
#include "temporary_directory.hpp"

namespace clat::system {
namespace {

using test::contents;
using test::put_contents;
using test::TemporaryDirectory;

const Origin kHere{.boot = "boot-1", .namespace_ = "4:4026531840:1"};

model::RecordSpec record(const std::string& uplink = "wan0") {
  return {.uplink = uplink,
          .uplink_ifindex = 2,
          .tun = "v4-" + uplink,
          .shape = {},
          .leg = model::Leg::fast,
          .metric = 2048,
          .v4 = *Ipv4Address::parse("192.0.0.4"),
          .v6 = *Ipv6Address::parse("2001:db8::7"),
          .prefix = *Nat64Prefix::parse("64:ff9b::/96")};
}

constexpr const char* kText =
    "format=1\n"
    "boot=boot-1\n"
    "namespace=4:4026531840:1\n"
    "uplink=wan0\n"
    "tun=v4-wan0\n"
    "tun-format=vnet\n"
    "queues=1\n"
    "ifindex=2\n"
    "leg=fast\n"
    "metric=2048\n"
    "v4=192.0.0.4\n"
    "v6=2001:db8::7\n"
    "prefix=64:ff9b::/96\n";

class StateDirTest : public ::testing::Test {
 protected:
  StateDir open(const Origin& origin = kHere) {
    auto opened = StateDir::open(root / "state", origin);
    if (!opened) throw std::runtime_error(opened.error().text());
    return std::move(*opened);
  }
  TemporaryDirectory root;
};

TEST_F(StateDirTest, IsCreatedForItsOwnerOnly) {
  const auto state = open();
  struct stat status{};
  ASSERT_EQ(::stat((root / "state").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

TEST_F(StateDirTest, OthersMustNotWriteInIt) {
  ASSERT_EQ(::mkdir((root / "state").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((root / "state").c_str(), 0777), 0);
  const auto opened = StateDir::open(root / "state", kHere);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), (Error{"state directory " + root / "state" + " can be written by other users", EPERM}));
}

TEST_F(StateDirTest, ASecondOneIsToldWhoHoldsIt) {
  const auto first = open();
  const auto second = StateDir::open(root / "state", kHere);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
  EXPECT_EQ(second.error().what,
            "state directory " + root / "state" + ": in use by another clatvisor, pid " + std::to_string(::getpid()));
}

TEST_F(StateDirTest, TheLockGoesWithItsHolderAndIsNotInherited) {
  {
    const auto first = open();
    const pid_t child = ::fork();
    if (child == 0) ::execlp("sh", "sh", "-c", "! ls -l /proc/self/fd | grep -q state/", nullptr);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "a child holds the lock";
  }
  EXPECT_TRUE(StateDir::open(root / "state", kHere));
}

TEST_F(StateDirTest, ARecordIsTextAndComesBackWhole) {
  auto state = open();
  ASSERT_TRUE(state.write(record()));
  EXPECT_EQ(contents(root / "state/wan0.record"), kText);
  EXPECT_FALSE(std::filesystem::exists(root / "state/wan0.record.tmp"));
  const auto read = state.records();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->records, std::vector{record()});
  EXPECT_TRUE(read->ignored.empty());
}

TEST_F(StateDirTest, WhatIsMappedOneToOneComesBack) {
  auto state = open();
  auto mapped = record();
  mapped.ranges = {*RangeMapping::parse("192.168.1.0/24=2001:db8:1:c1a7::/96"),
                   *RangeMapping::parse("10.0.0.0/8=2001:db8::/48")};
  ASSERT_TRUE(state.write(mapped));
  EXPECT_EQ(contents(root / "state/wan0.record"), std::string(kText) +
                                                      "range=192.168.1.0/24=2001:db8:1:c1a7::/96\n"
                                                      "range=10.0.0.0/8=2001:db8::/48\n");
  EXPECT_EQ(state.records()->records, std::vector{mapped});
  for (const char* line : {"range=192.168.1.0/24\n", "reach=192.168.1.0/24=2001:db8:1:c1a7::/96\n"}) {
    put_contents(root / "state/wan0.record", std::string(kText) + line);
    EXPECT_TRUE(state.records()->records.empty()) << line;
  }
}

TEST_F(StateDirTest, TheShapeOfTheTunComesBack) {
  auto state = open();
  auto many = record();
  many.shape = {model::TunFormat::packet_info, 8};
  ASSERT_TRUE(state.write(many));
  EXPECT_EQ(state.records()->records, std::vector{many});
}

TEST_F(StateDirTest, RecordsAreInOrderReplacedAndErased) {
  auto state = open();
  ASSERT_TRUE(state.write(record("wan1")));
  ASSERT_TRUE(state.write(record("wan0")));
  auto changed = record("wan1");
  changed.v6 = *Ipv6Address::parse("2001:db8::8");
  ASSERT_TRUE(state.write(changed));
  EXPECT_EQ(state.records()->records, (std::vector{record("wan0"), changed}));
  ASSERT_TRUE(state.erase_record("wan0"));
  EXPECT_TRUE(state.erase_record("wan0"));
  EXPECT_EQ(state.records()->records, std::vector{changed});
}

TEST_F(StateDirTest, AnotherBootOrNamespaceIsIgnoredAndReplaced) {
  for (const auto& [other, code] : {std::pair{Origin{.boot = "boot-2", .namespace_ = kHere.namespace_}, ESTALE},
                                    {Origin{.boot = kHere.boot, .namespace_ = "4:4026531840:2"}, EXDEV}}) {
    ASSERT_TRUE(open().write(record()));
    auto state = open(other);
    const auto read = state.records();
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->records.empty());
    ASSERT_EQ(read->ignored.size(), 1u);
    EXPECT_EQ(read->ignored[0].why.code, code);
    ASSERT_TRUE(state.discard(read->ignored[0]));
    EXPECT_EQ(std::filesystem::exists(root / "state/wan0.record"), code == EXDEV) << "it may be of use there";
    ASSERT_TRUE(state.write(record()));
    EXPECT_EQ(state.records()->records, std::vector{record()});
  }
}

TEST_F(StateDirTest, GarbageIsIgnoredAndReported) {
  auto state = open();
  const std::string good = kText;
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("garbage"), std::string("=x\n"), std::string(70'000, 'x'),
        good.substr(0, good.size() - 1), good + "more=1\n", replaced("format=1", "format=2"),
        replaced("v4=192.0.0.4", "v4=192.0.0"), replaced("v6=2001:db8::7", "v6=x"),
        replaced("prefix=64:ff9b::/96", "prefix=64:ff9b::/95"), replaced("tun=v4-wan0", "tun=../x"),
        replaced("ifindex=2", "ifindex=0"), replaced("ifindex=2", "ifindex=2x"), replaced("leg=fast", "leg=slow"),
        replaced("metric=2048", "metric=-1"), replaced("uplink=wan0", "uplink=wan1"), replaced("uplink=wan0\n", ""),
        replaced("v4=", "v5=")}) {
    put_contents(root / "state/wan0.record", text);
    const auto read = state.records();
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->records.empty()) << text.substr(0, 200);
    ASSERT_EQ(read->ignored.size(), 1u) << text.substr(0, 200);
    EXPECT_EQ(read->ignored[0].why.code, EBADMSG) << text.substr(0, 200);
  }
  ASSERT_TRUE(state.discard(state.records()->ignored[0]));
  EXPECT_TRUE(state.records()->ignored.empty());
  put_contents(root / "state/wan0.record", good);
  EXPECT_EQ(state.records()->records, std::vector{record()});
}

TEST_F(StateDirTest, NeitherFifoNorLinkNorDirectoryIsARecord) {
  auto state = open();
  put_contents(root / "elsewhere", kText);
  ASSERT_EQ(::mkfifo((root / "state/a.record").c_str(), 0600), 0);
  ASSERT_EQ(::symlink((root / "elsewhere").c_str(), (root / "state/wan0.record").c_str()), 0);
  ASSERT_EQ(::mkdir((root / "state/b.record").c_str(), 0700), 0);
  const auto read = state.records();
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->records.empty());
  EXPECT_EQ(read->ignored.size(), 3u);
}

TEST_F(StateDirTest, OnlySoManyRecordsAreRead) {
  auto state = open();
  for (std::size_t i = 0; i <= StateDir::kMostRecords; ++i) {
    ASSERT_TRUE(state.write(record("w" + std::to_string(i))));
  }
  const auto read = state.records();
  EXPECT_EQ(read->records.size(), StateDir::kMostRecords);
  EXPECT_EQ(read->ignored.size(), 1u);
}

TEST_F(StateDirTest, ANameThatIsNoneIsNotWritten) {
  auto state = open();
  EXPECT_EQ(state.write(record("../x")).error().code, EINVAL);
  EXPECT_EQ(state.erase_record("a/b").error().code, EINVAL);
}

TEST(OriginOfThisProcess, IsTheSameEachTimeAndWhole) {
  const auto origin = Origin::here();
  ASSERT_TRUE(origin) << origin.error().text();
  EXPECT_EQ(origin->boot.size(), 36u);
  EXPECT_NE(origin->namespace_, "");
  EXPECT_EQ(*origin, *Origin::here());
}

TEST(Random, DiffersEachTime) {
  const auto one = random_number();
  const auto other = random_number();
  ASSERT_TRUE(one && other);
  EXPECT_NE(*one, *other);  // but for one in 2^64
}

}  // namespace
}  // namespace clat::system
