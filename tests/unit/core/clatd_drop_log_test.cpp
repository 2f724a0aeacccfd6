// Which drops are logged, and how often, by a clock that the test sets.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <string>

#include "core/base/fd.hpp"
#include "core/clatd/drop_log.hpp"
#include "tests/support/vector_parts.hpp"

namespace {
std::atomic<bool> is_set = false;
std::atomic<std::time_t> seconds = 0;
}  // namespace

// The linker puts it in the place of libc's (--wrap).
extern "C" {
int __real_clock_gettime(clockid_t clock, timespec* now);
int __wrap_clock_gettime(clockid_t clock, timespec* now);
int __wrap_clock_gettime(clockid_t clock, timespec* now) {
  if (!is_set) return __real_clock_gettime(clock, now);
  *now = {.tv_sec = seconds, .tv_nsec = 0};
  return 0;
}
}

namespace clat::clatd {
namespace {

using xlat::Verdict;

class DropLogTest : public testing::Test {
 protected:
  DropLogTest() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
    read_end_ = Fd(ends[0]);
    const Fd write_end(ends[1]);
    stderr_ = Fd(dup(STDERR_FILENO));
    dup2(write_end.get(), STDERR_FILENO);
    seconds = 1000;
    is_set = true;
  }
  ~DropLogTest() override {
    is_set = false;
    dup2(stderr_.get(), STDERR_FILENO);
  }

  void note(Verdict verdict = Verdict::udp_zero_checksum) {
    log_.note(verdict, test::packet(test::out4(test::neutral()), test::udp(test::counting(9), test::Sum::none)));
  }
  std::string logged() const {
    std::string text(100'000, 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(read_end_.get(), text.data(), text.size()))));
    return text;
  }
  static auto lines(const std::string& text) { return std::ranges::count(text, '\n'); }

  DropLog log_;
  Fd read_end_;

 private:
  Fd stderr_;
};

TEST_F(DropLogTest, NamesReasonAddressesAndPorts) {
  const auto& scene = test::neutral();
  note();
  const auto line = logged();
  EXPECT_TRUE(line.starts_with("clatd: dropped, udp-zero-checksum: ")) << line;
  EXPECT_NE(line.find(scene.v4 + ":40000 > " + scene.peer4 + ":53"), std::string::npos) << line;
  EXPECT_TRUE(line.ends_with(" (0 more since the last such line)\n")) << line;
}

TEST_F(DropLogTest, IsForTheTwoVerdictsThatWantIt) {
  for (std::size_t i = 0; i < xlat::kVerdictCount; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    note(verdict);
    const bool wanted = verdict == Verdict::udp_zero_checksum || verdict == Verdict::hidden_extension;
    EXPECT_EQ(lines(logged()), wanted ? 1 : 0) << xlat::name(verdict);
  }
}

TEST_F(DropLogTest, SaysAFewLinesAMinuteAndHowManyWereLeftOut) {
  for (int n = 0; n < 100; ++n) note();
  EXPECT_EQ(lines(logged()), 4);
  seconds += 14;
  note();
  EXPECT_EQ(logged(), "");
  seconds += 1;
  note();
  EXPECT_TRUE(logged().ends_with(" (97 more since the last such line)\n"));
  seconds += 3600;
  for (int n = 0; n < 100; ++n) note();
  EXPECT_EQ(lines(logged()), 4);
}

// A supervisor that is busy must not stop the packets.
TEST_F(DropLogTest, DoesNotWaitForAFullPipe) {
  fcntl(STDERR_FILENO, F_SETFL, 0);
  fcntl(read_end_.get(), F_SETPIPE_SZ, 4096);
  ASSERT_EQ(write(STDERR_FILENO, std::string(4096, 'x').data(), 4096), 4096);
  note();
  note();
  EXPECT_EQ(logged(), std::string(4096, 'x'));
  note();
  EXPECT_TRUE(logged().ends_with(" (2 more since the last such line)\n"));
}

}  // namespace
}  // namespace clat::clatd
