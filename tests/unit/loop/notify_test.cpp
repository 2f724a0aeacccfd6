#include "supervisor/loop/notify.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fd.hpp"
#include "fixture.hpp"

namespace clat::loop {
namespace {

using Strings = std::vector<std::string>;

// The manager's end, at a path or, with @, an abstract name.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (name[0] == '@' ? 0 : 1));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0) << name;
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Strings heard() const {
    Strings all;
    std::array<char, 4096> buffer{};
    for (ssize_t size = 0; (size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0)) >= 0;) {
      all.emplace_back(buffer.data(), static_cast<std::size_t>(size));
    }
    return all;
  }

 private:
  Fd fd_;
};

class NotifierTest : public LoopTest {
 protected:
  NotifierTest() { EXPECT_NE(::mkdtemp(folder_.data()), nullptr); }
  ~NotifierTest() override { std::filesystem::remove_all(folder_); }

  Result<Notifier> created(const std::string& name, const char* usec = nullptr, const char* pid = nullptr) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    if (usec != nullptr) ::setenv("WATCHDOG_USEC", usec, 1);
    if (pid != nullptr) ::setenv("WATCHDOG_PID", pid, 1);
    auto notifier = Notifier::from_environment(*loop_);
    for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
      EXPECT_EQ(std::getenv(variable), nullptr) << variable;
    }
    return notifier;
  }
  [[nodiscard]] std::string path() const { return folder_ + "/notify"; }

  std::string folder_ = ::testing::TempDir() + "clat-notify-XXXXXX";
};

TEST_F(NotifierTest, WithoutAManagerSaysNothing) {
  auto notifier = Notifier::from_environment(*loop_);
  ASSERT_TRUE(notifier);
  EXPECT_TRUE(notifier->tell(Phase::ready, "up"));
}

TEST_F(NotifierTest, SpeaksToAPathAndToAnAbstractName) {
  const std::string longest = "@" + std::string(sizeof(sockaddr_un::sun_path) - 2, 'x');
  for (const std::string& name : {path(), "@clat-notify-" + std::to_string(::getpid()), longest}) {
    const Manager manager(name);
    auto notifier = created(name);
    ASSERT_TRUE(notifier) << notifier.error().text();
    ASSERT_TRUE(notifier->tell(Phase::ready, "0 of 1"));
    EXPECT_EQ(manager.heard(), (Strings{"READY=1\nSTATUS=0 of 1\n"})) << name;
  }
}

TEST_F(NotifierTest, SaysWhatIsNews) {
  const Manager manager(path());
  auto notifier = created(path());
  ASSERT_TRUE(notifier);
  ASSERT_TRUE(notifier->tell(Phase::ready, "a"));
  ASSERT_TRUE(notifier->tell(Phase::ready, "a"));
  ASSERT_TRUE(notifier->tell(Phase::ready, "b"));
  ASSERT_TRUE(notifier->tell(Phase::stopping, "b"));
  EXPECT_EQ(manager.heard(), (Strings{"READY=1\nSTATUS=a\n", "STATUS=b\n", "STOPPING=1\n"}));
}

TEST_F(NotifierTest, ReloadsWithTheTimeOfNow) {
  const Manager manager(path());
  auto notifier = created(path());
  ASSERT_TRUE(notifier);
  ASSERT_TRUE(notifier->tell(Phase::ready, "a"));
  static_cast<void>(manager.heard());
  const auto usec = [] {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  };
  const auto before = usec();
  ASSERT_TRUE(notifier->tell(Phase::reloading, "a"));
  const auto after = usec();
  ASSERT_TRUE(notifier->tell(Phase::ready, "a"));
  const auto heard = manager.heard();
  ASSERT_EQ(heard.size(), 2U);
  const std::string head = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_TRUE(heard[0].starts_with(head)) << heard[0];
  const auto told = std::stoll(heard[0].substr(head.size()));
  EXPECT_GE(told, before);
  EXPECT_LE(told, after);
  EXPECT_EQ(heard[1], "READY=1\n");
}

TEST_F(NotifierTest, AsksForTimeAtTheBeginningOfAPhase) {
  using std::chrono::milliseconds;
  const Manager manager(path());
  auto notifier = created(path());
  ASSERT_TRUE(notifier);
  ASSERT_TRUE(notifier->tell(Phase::starting, "a", milliseconds(90000)));
  ASSERT_TRUE(notifier->tell(Phase::starting, "b", milliseconds(90000)));
  ASSERT_TRUE(notifier->tell(Phase::ready, "b"));
  ASSERT_TRUE(notifier->tell(Phase::stopping, "b", milliseconds(1500)));
  EXPECT_EQ(manager.heard(), (Strings{"EXTEND_TIMEOUT_USEC=90000000\nSTATUS=a\n", "STATUS=b\n", "READY=1\n",
                                      "STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000\n"}));
}

TEST_F(NotifierTest, KeepsAStatusToItsLine) {
  const Manager manager(path());
  auto notifier = created(path());
  ASSERT_TRUE(notifier);
  ASSERT_TRUE(notifier->tell(Phase::ready, "a\nSTOPPING=1\n" + std::string(1000, 'x')));
  const auto heard = manager.heard();
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_EQ(heard[0], "READY=1\nSTATUS=a STOPPING=1 " + std::string(256 - 13, 'x') + "\n");
}

TEST_F(NotifierTest, SaysAgainWhatAFullSocketRefused) {
  const Manager manager(path());
  auto notifier = created(path());
  ASSERT_TRUE(notifier);
  Result<> told;
  int words = 0;
  while ((told = notifier->tell(Phase::ready, std::to_string(words))) && ++words < 100000) continue;
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, EAGAIN);
  ASSERT_FALSE(notifier->tell(Phase::reloading, "last"));
  EXPECT_EQ(manager.heard().size(), static_cast<std::size_t>(words));
  ASSERT_TRUE(notifier->tell(Phase::ready, "last"));
  EXPECT_EQ(manager.heard(), (Strings{"READY=1\nSTATUS=last\n"}));
}

TEST_F(NotifierTest, FollowsAManagerThatStartsAnew) {
  auto first = std::make_optional<Manager>(path());
  auto notifier = created(path());
  ASSERT_TRUE(notifier);
  ASSERT_TRUE(notifier->tell(Phase::ready, "a"));
  first.reset();
  std::filesystem::remove(path());
  EXPECT_FALSE(notifier->tell(Phase::ready, "b"));
  const Manager second(path());
  EXPECT_TRUE(notifier->tell(Phase::ready, "b"));
  EXPECT_EQ(second.heard(), (Strings{"READY=1\nSTATUS=b\n"}));
}

TEST_F(NotifierTest, FeedsTheWatchdogFromTheLoop) {
  const Manager manager(path());
  auto notifier = created(path(), "20000", std::to_string(::getpid()).c_str());
  ASSERT_TRUE(notifier) << notifier.error().text();
  Strings heard;
  const auto begin = std::chrono::steady_clock::now();
  const auto watch = loop_->watch(manager.fd(), [&](Wake) {
    for (auto& message : manager.heard()) heard.push_back(std::move(message));
    check();
  });
  ASSERT_TRUE(watch);
  run_until([&] { return heard.size() == 4; });
  EXPECT_EQ(heard, Strings(4, "WATCHDOG=1"));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(29));  // one at once, then every 10 ms
}

TEST_F(NotifierTest, ThePingSaysWhatWasRefused) {
  auto notifier = created(path(), "20000");
  ASSERT_TRUE(notifier);
  EXPECT_FALSE(notifier->tell(Phase::ready, "a"));
  const Manager manager(path());
  Strings heard;
  const auto watch = loop_->watch(manager.fd(), [&](Wake) {
    for (auto& message : manager.heard()) heard.push_back(std::move(message));
    check();
  });
  ASSERT_TRUE(watch);
  run_until([&] { return heard.size() >= 2; });
  EXPECT_EQ(heard[0], "READY=1\nSTATUS=a\n");
  EXPECT_EQ(heard[1], "WATCHDOG=1");
}

TEST_F(NotifierTest, IsNotTheWatchdogOfAnotherProcess) {
  const Manager manager(path());
  const auto notifier = created(path(), "20000", "1");
  ASSERT_TRUE(notifier);
  loop_->arm(std::chrono::steady_clock::now() + std::chrono::milliseconds(30));
  run_until([this] { return !all<model::Tick>().empty(); });
  EXPECT_TRUE(manager.heard().empty());
}

TEST_F(NotifierTest, KeepsNoLoopRunning) {
  const Manager manager(path());
  const auto notifier = created(path(), "20000");
  ASSERT_TRUE(notifier);
  loop_->run();
}

struct Nonsense {
  std::string what, socket;
  const char* usec = nullptr;
  const char* pid = nullptr;
};

class NotifierNonsense : public NotifierTest, public ::testing::WithParamInterface<Nonsense> {};

TEST_P(NotifierNonsense, IsRefused) {
  const auto& [what, socket, usec, pid] = GetParam();
  const auto notifier = created(socket, usec, pid);
  ASSERT_FALSE(notifier);
  EXPECT_EQ(notifier.error().code, EINVAL);
}

INSTANTIATE_TEST_SUITE_P(
    Table, NotifierNonsense,
    ::testing::Values(Nonsense{"empty", ""}, Nonsense{"relative", "run/notify"}, Nonsense{"vsock", "vsock:2:1234"},
                      Nonsense{"root_alone", "/"}, Nonsense{"at_alone", "@"},
                      Nonsense{"too_long", "/" + std::string(sizeof(sockaddr_un::sun_path) - 1, 'x')},
                      Nonsense{"abstract_too_long", "@" + std::string(sizeof(sockaddr_un::sun_path) - 1, 'x')},
                      Nonsense{"watchdog_text", "@x", "soon"}, Nonsense{"watchdog_zero", "@x", "0"},
                      Nonsense{"watchdog_negative", "@x", "-1"}, Nonsense{"watchdog_with_unit", "@x", "20000us"},
                      Nonsense{"watchdog_too_short", "@x", "1999"},
                      Nonsense{"watchdog_too_long", "@x", "18446744073709551615"},
                      Nonsense{"pid_text", "@x", "20000", "me"}, Nonsense{"pid_empty", "@x", "20000", ""}),
    [](const auto& each) { return each.param.what; });

}  // namespace
}  // namespace clat::loop
