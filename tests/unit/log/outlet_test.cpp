#include "supervisor/log/outlet.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <string>

namespace clat::log {
namespace {

class Syslogd {
 public:
  explicit Syslogd(const std::string& path) : path_(path), fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  Syslogd(const Syslogd&) = delete;
  Syslogd& operator=(const Syslogd&) = delete;
  ~Syslogd() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  [[nodiscard]] std::string receive() const {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return size < 0 ? "nothing" : std::string(buffer.data(), static_cast<std::size_t>(size));
  }

 private:
  std::string path_;
  int fd_;
};

class SyslogOutlet : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(folder_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_ = ::testing::TempDir() + "clat-syslog-XXXXXX";
};

TEST_F(SyslogOutlet, SendsWhatSyslogSends) {
  const Syslogd syslogd(folder_ + "/log");
  const auto outlet = syslog_outlet(folder_ + "/log");
  EXPECT_TRUE(outlet->write("event=clat.up", Severity::info));
  // daemon.info is 3 * 8 + 6.
  const std::regex expected("<30>[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} clatvisor\\[" +
                            std::to_string(::getpid()) + "\\]: event=clat\\.up");
  const std::string message = syslogd.receive();
  EXPECT_TRUE(std::regex_match(message, expected)) << message;
}

TEST_F(SyslogOutlet, MapsTheLevelToAPriority) {
  const Syslogd syslogd(folder_ + "/log");
  const auto outlet = syslog_outlet(folder_ + "/log");
  const std::vector<std::pair<Severity, std::string>> priorities = {
      {Severity::debug, "<31>"}, {Severity::info, "<30>"}, {Severity::warn, "<28>"}, {Severity::error, "<27>"}};
  for (const auto& [severity, priority] : priorities) {
    EXPECT_TRUE(outlet->write("line", severity));
    EXPECT_EQ(syslogd.receive().substr(0, 4), priority);
  }
}

TEST_F(SyslogOutlet, RefusesWithoutSyslogdAndGoesOnWhenItStarts) {
  const auto outlet = syslog_outlet(folder_ + "/log");
  EXPECT_FALSE(outlet->write("line", Severity::info));
  const Syslogd syslogd(folder_ + "/log");
  EXPECT_TRUE(outlet->write("line", Severity::info));
  EXPECT_NE(syslogd.receive(), "nothing");
}

TEST_F(SyslogOutlet, FollowsARestartedSyslogd) {
  auto first = std::make_unique<Syslogd>(folder_ + "/log");
  const auto outlet = syslog_outlet(folder_ + "/log");
  EXPECT_TRUE(outlet->write("line", Severity::info));
  first.reset();
  EXPECT_FALSE(outlet->write("line", Severity::info));
  const Syslogd second(folder_ + "/log");
  EXPECT_TRUE(outlet->write("line", Severity::info));
  EXPECT_NE(second.receive(), "nothing");
}

TEST_F(SyslogOutlet, RefusesWhenSyslogdDoesNotRead) {
  const Syslogd syslogd(folder_ + "/log");
  const auto outlet = syslog_outlet(folder_ + "/log");
  int taken = 0;
  while (taken < 100000 && outlet->write("line", Severity::info)) ++taken;
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 100000);
}

}  // namespace
}  // namespace clat::log
