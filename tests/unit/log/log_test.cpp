#include "supervisor/log/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace clat::log {
namespace {

using clat::log::Entry;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// From `event=` on: without the time.
std::string tail(const std::string& line) {
  const auto at = line.find("level=");
  return at == std::string::npos ? line : line.substr(at);
}

// What stderr is: a pair of descriptors whose reader is us.
class Stderr {
 public:
  explicit Stderr(std::array<int, 2> ends) : read_(ends[0]), write_(ends[1]) {
    ::fcntl(read_, F_SETFL, O_NONBLOCK);
    std::signal(SIGPIPE, SIG_IGN);
    ::alarm(60);  // a log that waits for its reader would wait for ever
  }
  static Stderr pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    return Stderr(ends);
  }
  static Stderr socket() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    return Stderr(ends);
  }
  Stderr(const Stderr&) = delete;
  Stderr& operator=(const Stderr&) = delete;
  ~Stderr() {
    ::alarm(0);
    close_reader();
    ::close(write_);
  }

  [[nodiscard]] int fd() const { return write_; }
  void close_reader() {
    if (read_ >= 0) ::close(std::exchange(read_, -1));
  }
  [[nodiscard]] std::string read_all() const {
    std::string text;
    std::array<char, 65536> buffer{};
    for (ssize_t size = 0; (size = ::read(read_, buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  int read_;
  int write_;
};

Entry numbered(int number) {
  return {Severity::info, "child.output", "up0", {{"line", std::to_string(number) + std::string(80, 'x')}}};
}

TEST(Log, WritesALineANote) {
  const auto err = Stderr::pipe();
  Log log(err.fd());
  log.write({Severity::info, "clat.up", "up0", {{"tun", "v4-up0"}}});
  log.write({Severity::error, "clat.failed", "up0", {}});
  const auto lines = split(err.read_all());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(tail(lines[0]), "level=info event=clat.up iface=up0 tun=v4-up0");
  EXPECT_EQ(tail(lines[1]), "level=error event=clat.failed iface=up0");
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  const auto err = Stderr::pipe();
  Log log(err.fd());
  EXPECT_FALSE(log.enabled(Severity::debug));
  ASSERT_TRUE(log.configure({.level = config::LogLevel::warn}));
  for (const auto severity : {Severity::debug, Severity::info, Severity::warn, Severity::error}) {
    log.write({severity, "health", "", {}});
  }
  const auto lines = split(err.read_all());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(tail(lines[0]), "level=warn event=health");
  EXPECT_EQ(tail(lines[1]), "level=error event=health");
  ASSERT_TRUE(log.configure({.level = config::LogLevel::debug}));
  EXPECT_TRUE(log.enabled(Severity::debug));
}

TEST(Log, ChangesItsFormat) {
  const auto err = Stderr::pipe();
  Log log(err.fd());
  ASSERT_TRUE(log.configure({.format = config::LogFormat::json}));
  log.write({Severity::info, "clat.up", "up0", {}});
  const std::string text = err.read_all();
  EXPECT_TRUE(text.starts_with("{\"ts\":")) << text;
  EXPECT_TRUE(text.ends_with("\"event\":\"clat.up\",\"iface\":\"up0\"}\n")) << text;
}

TEST(Log, LeavesTheFlagsOfTheSharedDescriptionAlone) {
  for (const auto& err : {Stderr::pipe(), Stderr::socket()}) {
    const int before = ::fcntl(err.fd(), F_GETFL);
    Log log(err.fd());
    log.write(numbered(1));
    EXPECT_EQ(::fcntl(err.fd(), F_GETFL), before);
    EXPECT_EQ(before & O_NONBLOCK, 0);
  }
}

// Writes into a reader that does not read, then reads: every line is there whole, or counted.
void expect_nothing_uncounted(const Stderr& err, Log& log) {
  constexpr int kLines = 9000;
  for (int i = 0; i < kLines; ++i) log.write(numbered(i));
  std::string text = err.read_all();
  log.write({Severity::info, "clat.up", "up0", {}});
  text += err.read_all();
  const auto lines = split(text);
  ASSERT_GE(lines.size(), 3U);
  ASSERT_LT(lines.size(), 7000U);
  const std::size_t written = lines.size() - 2;
  for (std::size_t i = 0; i < written; ++i) {
    EXPECT_EQ(tail(lines[i]),
              "level=info event=child.output iface=up0 line=" + std::to_string(i) + std::string(80, 'x'));
  }
  EXPECT_EQ(tail(lines[written]), "level=warn event=log.dropped lines=" + std::to_string(kLines - written) +
                                      " reason=\"the reader did not read, or the disk was full\"");
  EXPECT_EQ(tail(lines[written + 1]), "level=info event=clat.up iface=up0");
}

TEST(StuckReader, OfAPipeCostsLinesAndTheyAreCounted) {
  const auto err = Stderr::pipe();
  Log log(err.fd());
  expect_nothing_uncounted(err, log);
}

TEST(StuckReader, OfASocketCostsLinesAndTheyAreCounted) {
  const auto err = Stderr::socket();
  Log log(err.fd());
  expect_nothing_uncounted(err, log);
}

TEST(StuckReader, OfAPipeThatCannotBeOpenedAgainCostsLinesToo) {
  const auto err = Stderr::pipe();
  // Without its capability over files the process may not open root's pipe.
  ::setfsuid(65534);
  Log log(err.fd());
  ::setfsuid(0);
  expect_nothing_uncounted(err, log);
}

TEST(StuckReader, TheCountComesWithAFlushToo) {
  const auto err = Stderr::pipe();
  Log log(err.fd());
  for (int i = 0; i < 9000; ++i) log.write(numbered(i));
  static_cast<void>(err.read_all());
  log.flush();
  const auto lines = split(err.read_all());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(tail(lines[0]).starts_with("level=warn event=log.dropped lines=")) << lines[0];
}

TEST(StuckReader, OfAFloodStillGetsWhatComesSeldom) {
  const auto err = Stderr::pipe();
  Log log(err.fd());
  for (int i = 0; i < 9000; ++i) {
    log.write(numbered(i));
    if (i % 3000 == 2999) log.write({Severity::info, "clat.up", "up" + std::to_string(i), {}});
  }
  static_cast<void>(err.read_all());
  log.flush();
  const auto lines = split(err.read_all());
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(tail(lines[0]), "level=info event=clat.up iface=up2999");
  EXPECT_EQ(tail(lines[1]), "level=info event=clat.up iface=up5999");
  EXPECT_EQ(tail(lines[2]), "level=info event=clat.up iface=up8999");
  EXPECT_TRUE(tail(lines[3]).starts_with("level=warn event=log.dropped lines=")) << lines[3];
}

TEST(StuckReader, ThatIsGoneDoesNotEndTheProcess) {
  auto err = Stderr::pipe();
  Log log(err.fd());
  err.close_reader();
  log.write(numbered(1));
  log.flush();
}

// Into a file of nobody's, for as long as a pipe holds no more.
TEST(Excess, OfOneEventIsCountedAndHidesNoOther) {
  std::string path = ::testing::TempDir() + "clat-excess-XXXXXX";
  const int fd = ::mkstemp(path.data());
  Log log(fd);
  const auto begin = std::chrono::steady_clock::now();
  constexpr std::uint64_t kWritten = Log::kBurst + 5000;
  for (std::uint64_t i = 0; i < kWritten; ++i) log.write({Severity::info, "state.dump", "", {}});
  log.write({Severity::info, "clat.up", "up0", {}});
  log.flush();
  log.flush();  // once a second
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  ::close(fd);

  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::filesystem::remove(path);
  const auto lines = split(text.str());
  const std::size_t shown = lines.size() - 2;
  EXPECT_GE(shown, Log::kBurst);
  EXPECT_LE(static_cast<double>(shown), Log::kBurst + took.count() * Log::kLinesPerSecond + 1);
  EXPECT_EQ(tail(lines[shown]), "level=info event=clat.up iface=up0");
  EXPECT_EQ(tail(lines[shown + 1]), "level=warn event=log.dropped lines=" + std::to_string(kWritten - shown) +
                                        " reason=\"too many of one event\"");
}

class LogFile : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    log_ = std::make_unique<Log>(err_.fd());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  static std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static std::vector<std::string> events(const std::string& text) {
    std::vector<std::string> all;
    for (const auto& line : split(text)) all.push_back(line.substr(line.find("event=")));
    return all;
  }
  void say(std::string_view event) { log_->write({Severity::info, event, "", {}}); }

  using Lines = std::vector<std::string>;
  std::string folder_ = ::testing::TempDir() + "clat-log-XXXXXX";
  Stderr err_ = Stderr::pipe();
  std::unique_ptr<Log> log_;
};

TEST_F(LogFile, IsCreatedReadableForItsGroupOnly) {
  const mode_t before = ::umask(0);
  ASSERT_TRUE(log_->configure({.target = path("log")}));
  ::umask(before);
  struct stat status{};
  ASSERT_EQ(::stat(path("log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_F(LogFile, IsAppendedTo) {
  std::ofstream(path("log")) << "event=before\n";
  ASSERT_TRUE(log_->configure({.target = path("log")}));
  say("clat.up");
  EXPECT_EQ(events(contents(path("log"))), (Lines{"event=before", "event=clat.up"}));
}

TEST_F(LogFile, IsNotInherited) {
  ASSERT_TRUE(log_->configure({.target = path("log")}));
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry.path(), error) != path("log")) continue;
    ++found;
    EXPECT_NE(::fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(found, 1);
}

TEST_F(LogFile, ReopensAfterRotation) {
  ASSERT_TRUE(log_->configure({.target = path("log")}));
  say("link.up");
  std::filesystem::rename(path("log"), path("log.1"));
  say("clat.up");
  ASSERT_TRUE(log_->reopen());
  say("clat.down");
  EXPECT_EQ(events(contents(path("log.1"))), (Lines{"event=link.up", "event=clat.up"}));
  EXPECT_EQ(events(contents(path("log"))), (Lines{"event=clat.down"}));
}

TEST_F(LogFile, ConfiguredAgainUnderTheSameNameIsReopened) {
  ASSERT_TRUE(log_->configure({.target = path("log")}));
  std::filesystem::rename(path("log"), path("log.1"));
  ASSERT_TRUE(log_->configure({.target = path("log")}));
  say("clat.up");
  EXPECT_EQ(events(contents(path("log"))), (Lines{"event=clat.up"}));
}

TEST_F(LogFile, KeepsTheOldOneWhenReopeningFails) {
  ASSERT_TRUE(log_->configure({.target = path("log")}));
  std::filesystem::rename(path("log"), path("log.1"));
  std::filesystem::create_directory(path("log"));
  const auto reopened = log_->reopen();
  ASSERT_FALSE(reopened);
  EXPECT_EQ(reopened.error().text(), "open log file " + path("log") + ": Is a directory");
  say("clat.up");
  EXPECT_EQ(events(contents(path("log.1"))), (Lines{"event=clat.up"}));
}

TEST_F(LogFile, ThatCannotBeOpenedLeavesAllSettingsAsTheyWere) {
  const auto configured = log_->configure(
      {.level = config::LogLevel::error, .format = config::LogFormat::json, .target = path("missing/log")});
  ASSERT_FALSE(configured);
  EXPECT_EQ(configured.error().code, ENOENT);
  say("clat.up");
  EXPECT_EQ(events(err_.read_all()), (Lines{"event=clat.up"}));
}

TEST_F(LogFile, AFifoWithoutAReaderIsAnErrorNotAStall) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  const auto configured = log_->configure({.target = path("fifo")});
  ASSERT_FALSE(configured);
  EXPECT_EQ(configured.error().code, ENXIO);
}

TEST_F(LogFile, OnAFullDiskCostsLinesThatAreCounted) {
  constexpr int kLines = 1000;
  ASSERT_TRUE(log_->configure({.target = "/dev/full"}));
  say("link.up");
  for (int i = 0; i < kLines; ++i) say("state.dump");
  say("clat.up");
  ASSERT_TRUE(log_->configure({}));
  say("health");
  const auto lines = events(err_.read_all());
  const auto held = std::count(lines.begin(), lines.end(), "event=state.dump");
  ASSERT_GT(held, 0);
  ASSERT_EQ(lines.size(), static_cast<std::size_t>(held) + 4);
  EXPECT_EQ(lines.front(), "event=link.up");
  EXPECT_EQ(Lines(lines.end() - 3, lines.end()), (Lines{"event=clat.up",
                                                        "event=log.dropped lines=" + std::to_string(kLines - held) +
                                                            " reason=\"the reader did not read, or the disk was full\"",
                                                        "event=health"}));
}

}  // namespace
}  // namespace clat::log
