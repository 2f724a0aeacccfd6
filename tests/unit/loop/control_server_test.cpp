// The control socket, with clients that behave and clients that do not.
#include "supervisor/loop/control_server.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "fixture.hpp"

namespace clat::loop {
namespace {

class ControlServerTest : public LoopTest {
 protected:
  ControlServerTest() {
    std::string name = "/tmp/clatvisor-control.XXXXXX";
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ + "/control.sock";
  }
  ~ControlServerTest() override {
    server_.reset();
    clients_.clear();
    std::filesystem::remove_all(folder_);
  }

  Result<> open(std::optional<gid_t> group = {}) {
    auto server =
        ControlServer::open(*loop_, {.path = path_, .group = group, .late = "75\nlate\n", .busy = "75\nbusy\n"},
                            [this](auto client, const auto& peer, const auto& line) {
                              asked_.emplace_back(client, line);
                              peers_.push_back(peer);
                              check();
                            });
    if (!server) return std::unexpected(server.error());
    server_ = std::move(*server);
    return {};
  }

  int connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return -1;
    clients_.push_back(std::move(fd));
    return clients_.back().get();
  }
  static void say(int fd, std::string_view text) {
    ASSERT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Turns the loop until `fd` says that its peer is done; all that it said.
  std::string hear(int fd) {
    std::string heard;
    bool over = false;
    auto watch = loop_->watch(fd, [&](Wake) {
      std::vector<char> buffer(65536);
      const auto size = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size < 0 && errno == EAGAIN) return;
      if (size > 0)
        heard.append(buffer.data(), static_cast<std::size_t>(size));
      else
        over = true;
      check();
    });
    run_until([&] { return over; });
    return heard;
  }
  // Until somebody asked so often.
  void run_until_asked(std::size_t times) {
    run_until([this, times] { return asked_.size() >= times; });
  }

  std::string folder_;
  std::string path_;
  std::vector<std::pair<ControlServer::Client, std::string>> asked_;
  std::vector<ControlServer::Peer> peers_;
  std::vector<Fd> clients_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, AnswersALine) {
  ASSERT_TRUE(open());
  const int fd = connect();
  say(fd, "sta");
  say(fd, "tus wan0\n");
  run_until_asked(1);
  EXPECT_EQ(asked_[0].second, "status wan0");
  EXPECT_EQ(peers_[0].uid, ::getuid());
  EXPECT_EQ(peers_[0].pid, ::getpid());
  server_->answer(asked_[0].first, "0\nfine\n");
  EXPECT_EQ(hear(fd), "0\nfine\n");
}

TEST_F(ControlServerTest, IsForRootUnlessAGroupIsNamed) {
  struct stat facts{};
  ASSERT_TRUE(open());
  ASSERT_EQ(::stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
  server_.reset();
  EXPECT_NE(::stat(path_.c_str(), &facts), 0) << "it is removed at the end";

  ASSERT_TRUE(open(::getgid()));
  ASSERT_EQ(::stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0660U);
  EXPECT_EQ(facts.st_gid, ::getgid());
  ASSERT_EQ(::stat(folder_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0750U) << "or the group could not get to the socket";
}

TEST_F(ControlServerTest, MakesItsFolder) {
  path_ = folder_ + "/made/control.sock";
  ASSERT_TRUE(open());
  struct stat facts{};
  ASSERT_EQ(::stat((folder_ + "/made").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700U);
}

TEST_F(ControlServerTest, ReplacesWhatAKilledOneLeft) {
  ASSERT_TRUE(open());
  // As after SIGKILL: the name is there, and nobody listens.
  ASSERT_EQ(::rename(path_.c_str(), (path_ + ".kept").c_str()), 0);
  server_.reset();
  ASSERT_EQ(::rename((path_ + ".kept").c_str(), path_.c_str()), 0);
  ASSERT_TRUE(open());
  EXPECT_GE(connect(), 0);
}

TEST_F(ControlServerTest, DoesNotTakeAnothersPlace) {
  ASSERT_TRUE(open());
  auto first = std::move(server_);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EADDRINUSE);
  first.reset();

  std::ofstream(path_) << "a file";
  const auto third = open();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, EEXIST);
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ControlServerTest, ASuccessorsSocketStays) {
  ASSERT_TRUE(open());
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  std::ofstream(path_) << "a successor's";
  server_.reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ControlServerTest, OneThatIsTooLongIsHandedOnCut) {
  ASSERT_TRUE(open());
  say(connect(), std::string(5000, 'x'));
  run_until_asked(1);
  EXPECT_EQ(asked_[0].second, std::string(257, 'x'));
}

TEST_F(ControlServerTest, ALongAnswerWaitsForItsReader) {
  ASSERT_TRUE(open());
  const int fd = connect();
  say(fd, "metrics\n");
  run_until_asked(1);
  std::string text = "0\n";
  while (text.size() < 3'000'000) text += "a line of a long answer, number " + std::to_string(text.size()) + "\n";
  server_->answer(asked_[0].first, text);
  EXPECT_EQ(hear(fd), text);
}

TEST_F(ControlServerTest, ManyAreServedAndTheRestIsTold) {
  ASSERT_TRUE(open());
  const std::size_t most = ControlServer::kClients + (::getuid() == 0 ? ControlServer::kRootClients : 0);
  for (std::size_t i = 0; i < most; ++i) say(connect(), "status\n");
  run_until_asked(most);
  const int late = connect();
  EXPECT_EQ(hear(late), "75\nbusy\n");
  // One that is served makes room.
  server_->answer(asked_[0].first, "0\n");
  const int next = connect();
  say(next, "status\n");
  run_until_asked(most + 1);
}

TEST_F(ControlServerTest, OneThatLeavesIsForgotten) {
  ASSERT_TRUE(open());
  for (std::size_t i = 0; i < 200; ++i) {
    const int fd = connect();
    ASSERT_GE(fd, 0);
    say(fd, i % 2 == 0 ? "half a requ" : "whole\n");
    clients_.clear();
    // The next one is heard only after this one.
    const int asks = connect();
    say(asks, "next\n");
    run_until([&] { return !asked_.empty() && asked_.back().second == "next"; });
    for (const auto& [client, line] : std::exchange(asked_, {})) server_->answer(client, "0\n");
    clients_.clear();
  }
}

TEST_F(ControlServerTest, FollowersHearWhatIsPublished) {
  ASSERT_TRUE(open());
  const int fd = connect();
  say(fd, "events\n");
  run_until_asked(1);
  server_->answer_and_follow(asked_[0].first, "0\nold\n");
  server_->publish("new\n");
  server_->publish("newer\n");
  server_.reset();
  EXPECT_EQ(hear(fd), "0\nold\nnew\nnewer\n");
}

TEST_F(ControlServerTest, AFollowerThatIsBehindIsDropped) {
  ASSERT_TRUE(open());
  const int fd = connect();
  say(fd, "events\n");
  run_until_asked(1);
  server_->answer_and_follow(asked_[0].first, "0\n");
  const std::string line(1023, 'l');
  // What the kernel takes, then what is kept for it.
  for (int i = 0; i < 2000; ++i) server_->publish(line + "\n");
  const auto heard = hear(fd);
  EXPECT_GT(heard.size(), 1024U);
  EXPECT_LT(heard.size(), 2000U * 1024);
}

TEST_F(ControlServerTest, WhoSaysMoreThanOneLineIsAnsweredOnce) {
  ASSERT_TRUE(open());
  const int fd = connect();
  say(fd, "status\nreload\nreload\n");
  run_until_asked(1);
  server_->answer(asked_[0].first, "0\n");
  EXPECT_TRUE(hear(fd).starts_with("0\n"));
  EXPECT_EQ(asked_.size(), 1U);
}

}  // namespace
}  // namespace clat::loop
