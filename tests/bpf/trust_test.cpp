// A bpffs that others may write to: what is not ours there is neither used, nor locked, nor taken away.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>

#include "tests/bpf/lab.hpp"
#include "tests/bpf/programs.hpp"

namespace clat::test {
namespace {

constexpr uid_t kStranger = 65534;

class TrustTest : public testing::Test {
 protected:
  // As the scripts of earlier versions mounted it.
  TrustTest() { chmod(folder_.mount_point().c_str(), 01777); }

  BothParts attached() {
    auto fast_path = BothParts(folder_.open());
    if (auto done = fast_path.attach(lab_.attachment()); !done) throw std::runtime_error(done.error().text());
    return fast_path;
  }
  [[nodiscard]] std::string pin(const std::string& name) const { return folder_.pins() + "/" + name; }
  [[nodiscard]] std::string link_name() const { return "link-" + std::to_string(lab_.uplink()) + "-uplink-ingress"; }
  // Neither the fast path nor a purge wants to have to do with `path`.
  void expect_refused(const std::string& path, const std::string& why) const {
    const auto opened = bpf::FastPath::open(folder_.bpf_dir());
    for (const auto& refused :
         {opened ? Result<>() : std::unexpected(opened.error()), bpf::FastPath::purge(folder_.bpf_dir())}) {
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, EPERM) << refused.error().text();
      EXPECT_NE(refused.error().text().find(path + " "), std::string::npos) << refused.error().text();
      EXPECT_NE(refused.error().text().find(why), std::string::npos) << refused.error().text();
    }
  }

  BpfFolder folder_;
  Lab lab_;
};

// 0, or the errno of a step that failed, in a process of the stranger's.
int as_stranger(const std::function<bool()>& steps) {
  const auto child = fork();
  if (child == 0) {
    if (setgid(kStranger) != 0 || setuid(kStranger) != 0) _exit(255);
    errno = 0;
    _exit(steps() ? 0 : errno);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 255;
  return WEXITSTATUS(status);
}
bool make_folder(const std::string& path) { return mkdir(path.c_str(), 0700) == 0; }
void give_to_stranger(const std::string& path) { ASSERT_EQ(lchown(path.c_str(), kStranger, kStranger), 0) << path; }
unsigned owner_of(const std::string& path) {
  struct stat facts{};
  return lstat(path.c_str(), &facts) == 0 ? facts.st_uid : 12345;
}
std::uint32_t map_id_of_pin(const std::string& path) {
  const Fd map(bpf_obj_get(path.c_str()));
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  return map && bpf_obj_get_info_by_fd(map.get(), &info, &size) == 0 ? info.id : 0;
}

TEST_F(TrustTest, AStrangersFolderIsRefused) {
  const auto pins = folder_.pins();
  ASSERT_EQ(as_stranger([&] { return make_folder(folder_.bpf_dir()) && make_folder(pins); }), 0);
  expect_refused(folder_.bpf_dir(), "belongs to uid 65534");
  EXPECT_TRUE(std::filesystem::is_empty(pins));
}

TEST_F(TrustTest, AStrangersLockIsNotWaitedFor) {
  const auto pins = folder_.pins();
  ASSERT_EQ(as_stranger([&] { return make_folder(folder_.bpf_dir()) && make_folder(pins); }), 0);
  const Fd lock(::open(pins.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  expect_refused(folder_.bpf_dir(), "belongs to uid 65534");
  // Nor in a folder of ours.
  chown(folder_.bpf_dir().c_str(), 0, 0);
  expect_refused(pins, "belongs to uid 65534");
}

TEST_F(TrustTest, AStrangersSymlinkIsRefused) {
  const auto elsewhere = folder_.mount_point() + "/elsewhere";
  ASSERT_TRUE(make_folder(elsewhere));
  ASSERT_EQ(as_stranger([&] { return symlink(elsewhere.c_str(), folder_.bpf_dir().c_str()) == 0; }), 0);
  expect_refused(folder_.bpf_dir(), "belongs to uid 65534");
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere));
}

TEST_F(TrustTest, AFolderOfAnotherVersionIsRefusedAsWell) {
  ASSERT_TRUE(make_folder(folder_.bpf_dir()));
  ASSERT_TRUE(make_folder(folder_.pins(CLAT_ABI_VERSION + 1)));
  give_to_stranger(folder_.pins(CLAT_ABI_VERSION + 1));
  expect_refused(folder_.pins(CLAT_ABI_VERSION + 1), "belongs to uid 65534");
  EXPECT_FALSE(std::filesystem::exists(folder_.pins()));
}

TEST_F(TrustTest, FoldersThatAllMayWriteToAreRefused) {
  ASSERT_TRUE(make_folder(folder_.bpf_dir()));
  chmod(folder_.bpf_dir().c_str(), 01777);
  expect_refused(folder_.bpf_dir(), "writable by others (mode 1777)");
  chmod(folder_.bpf_dir().c_str(), 0700);
  chmod(folder_.mount_point().c_str(), 0777);
  expect_refused(folder_.mount_point(), "not sticky (mode 0777)");
}

TEST_F(TrustTest, InAStickyOneOursIsOutOfAStrangersReach) {
  const auto fast_path = attached();
  const auto dir = folder_.bpf_dir(), other = folder_.mount_point() + "/other", pins = folder_.pins();
  const auto link = pin(link_name());
  const auto lock = [](const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
  };
  EXPECT_EQ(as_stranger([&] { return rename(dir.c_str(), other.c_str()) == 0; }), EPERM);
  EXPECT_EQ(as_stranger([&] { return unlink(link.c_str()) == 0; }), EACCES);
  EXPECT_EQ(as_stranger([&] { return lock(pins); }), EBADF) << "it cannot even be opened";
  EXPECT_EQ(as_stranger([&] { return make_folder(other); }), 0) << "the bpffs itself is open";
}

// An operator may have opened it.
TEST_F(TrustTest, OursIsClosedToOthers) {
  ASSERT_TRUE(make_folder(folder_.bpf_dir()));
  chmod(folder_.bpf_dir().c_str(), 0755);
  ASSERT_TRUE(make_folder(folder_.pins()));
  chmod(folder_.pins().c_str(), 0755);
  const auto fast_path = BothParts(folder_.open());
  EXPECT_EQ(std::filesystem::status(folder_.pins()).permissions(), std::filesystem::perms::owner_all);
}

// Of the right shape, and where the fast path looks for its own.
TEST_F(TrustTest, AForeignMapIsNotTakenOver) {
  const std::function<void(const std::string&)> hands[] = {
      [](const std::string& path) { give_to_stranger(path); },
      [](const std::string& path) { ASSERT_EQ(chmod(path.c_str(), 0666), 0); },
  };
  for (const auto* name : {"interfaces", "counters"}) {
    for (const auto& hand : hands) {
      {
        attached();
      }
      const auto path = pin(name);
      const auto foreign = map_id_of_pin(path);
      ASSERT_NE(foreign, 0U);
      hand(path);
      auto successor = BothParts(folder_.open());
      EXPECT_EQ(owner_of(path), 0U);
      EXPECT_NE(map_id_of_pin(path), 0U);
      EXPECT_NE(map_id_of_pin(path), foreign) << name;
      EXPECT_FALSE(objects_of(folder_.bpf_dir()).maps.contains(foreign));
      ASSERT_TRUE(successor.attach(lab_.attachment()));
      EXPECT_TRUE(successor.verify_pins() && successor.verify(lab_.attachment()));
    }
  }
}

TEST_F(TrustTest, NorWhileItRuns) {
  auto fast_path = attached();
  give_to_stranger(pin("counters"));
  EXPECT_FALSE(fast_path.verify_pins());
  ASSERT_TRUE(fast_path.attach(lab_.attachment()));
  EXPECT_TRUE(fast_path.verify_pins());
  EXPECT_EQ(owner_of(pin("counters")), 0U);
}

// Neither is its program replaced by ours, nor is it detached.
TEST_F(TrustTest, AForeignLinkLosesItsPinAndNoMore) {
  if (!kernel_is_at_least(6, 6)) return;  // no TCX
  ForeignProgram foreign;
  foreign.attach_tcx(lab_.uplink());
  const auto put = [&] {
    ASSERT_EQ(bpf_obj_pin(foreign.link(), pin(link_name()).c_str()), 0);
    give_to_stranger(pin(link_name()));
  };
  auto fast_path = BothParts(folder_.open());
  put();
  ASSERT_TRUE(fast_path.attach(lab_.attachment()));
  EXPECT_TRUE(fast_path.verify(lab_.attachment()));
  EXPECT_TRUE(foreign.is_on_tcx(lab_.uplink()));
  EXPECT_EQ(owner_of(pin(link_name())), 0U);
  ASSERT_TRUE(fast_path.detach(lab_.attachment()));
  put();
  ASSERT_TRUE(fast_path.detach(lab_.attachment()));
  EXPECT_TRUE(foreign.is_on_tcx(lab_.uplink()));
  put();
  {
    const auto closed = std::move(fast_path);
  }
  ASSERT_TRUE(bpf::FastPath::purge(folder_.bpf_dir()));
  EXPECT_TRUE(foreign.is_on_tcx(lab_.uplink()));
  EXPECT_FALSE(std::filesystem::exists(folder_.bpf_dir()));
}

TEST_F(TrustTest, PurgeTakesNothingOutOfAStrangersFolder) {
  {
    attached();
  }
  const auto link = pin(link_name());
  for (const auto& path : {folder_.bpf_dir(), folder_.pins()}) {
    give_to_stranger(path);
    expect_refused(path, "belongs to uid 65534");
    EXPECT_TRUE(std::filesystem::exists(link));
    chown(path.c_str(), 0, 0);
  }
  EXPECT_TRUE(bpf::FastPath::purge(folder_.bpf_dir()));
  EXPECT_FALSE(std::filesystem::exists(folder_.bpf_dir()));
}

}  // namespace
}  // namespace clat::test
