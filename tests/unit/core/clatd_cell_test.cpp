// What clatd gives away before it reads its first packet.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "clatd_fixture.hpp"

namespace clat::clatd {
namespace {

using std::filesystem::directory_iterator;
using std::filesystem::path;

std::string hard_limit(const path& process, const std::string& name) {
  std::ifstream file(process / "limits");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    std::istringstream values(line.substr(26));  // the name's column
    std::string soft, hard;
    values >> soft >> hard;
    return hard;
  }
  return "no such limit";
}

class ClatdCell : public ClatdProcess {
 protected:
  void SetUp() override { ASSERT_EQ(geteuid(), 0U) << "the tests of the sandbox need root"; }

  [[nodiscard]] path process() const { return path("/proc") / std::to_string(pid()); }
  void expect_nothing_left() const {
    for (const auto& task : directory_iterator(process() / "task")) {
      for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
        EXPECT_EQ(status_field(task, set), "0000000000000000") << task << ' ' << set;
      }
      EXPECT_EQ(status_field(task, "Uid"), "65534\t65534\t65534\t65534") << task;
      EXPECT_EQ(status_field(task, "Gid"), "65533\t65533\t65533\t65533") << task;
      EXPECT_EQ(status_field(task, "Groups"), "") << task;
      EXPECT_EQ(status_field(task, "NoNewPrivs"), "1") << task;
      EXPECT_EQ(status_field(task, "Seccomp"), kSanitized ? "0" : "2") << task;
    }
    EXPECT_EQ(hard_limit(process(), "Max processes"), "0");
    EXPECT_EQ(hard_limit(process(), "Max core file size"), "0");
  }
  [[nodiscard]] std::set<int> descriptors() const {
    std::set<int> found;
    for (const auto& entry : directory_iterator(process() / "fd")) found.insert(std::stoi(entry.path().filename()));
    return found;
  }
  static Words as_nobody() { return usual() + Words{"--user", "65534:65533"}; }
  void give_strays() {
    give(Fd(open("/", O_RDONLY | O_CLOEXEC)), 0);
    for (const int number : {5, 8, 77, 199}) give(Fd(open("/", O_RDONLY | O_CLOEXEC)), number);
  }
};

TEST_F(ClatdCell, HoldsItsOneThread) {
  give_strays();
  start_and_wait_until_ready(as_nobody());
  expect_nothing_left();
  EXPECT_EQ(descriptors(), (std::set{0, 1, 2, 3, 4}));
  EXPECT_EQ(hard_limit(process(), "Max open files"), kSanitized ? hard_limit("/proc/self", "Max open files") : "5");
}

TEST_F(ClatdCell, HoldsEveryThread) {
  give_strays();
  const auto second = give_pair(5), third = give_pair(7), fourth = give_pair(6);
  start_and_wait_until_ready(as_nobody() + Words{"--queues", "4"});
  expect_nothing_left();
  EXPECT_EQ(descriptors(), (std::set{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(hard_limit(process(), "Max open files"), kSanitized ? hard_limit("/proc/self", "Max open files") : "8");
}

// A change of ids would have undone it.
TEST_F(ClatdCell, EndsWithWhoeverStartedIt) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    start(as_nobody());
    pause();
    _exit(1);
  }
  ASSERT_TRUE(receive());
  std::ifstream children("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  pid_t clatd = 0;
  ASSERT_TRUE(children >> clatd);
  kill(parent, SIGKILL);
  ASSERT_EQ(waitpid(parent, nullptr, 0), parent);
  int status = 0;
  ASSERT_EQ(waitpid(clatd, &status, 0), clatd);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace
}  // namespace clat::clatd
