// The clatd program itself. A SOCK_SEQPACKET pair stands in for the tun: it keeps packet bounds, too.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/clatd/control.hpp"
#include "tests/support/vector_parts.hpp"
#include "tests/support/vectors.hpp"

namespace clat::clatd {
namespace {

using test::Bytes;
using test::operator+;
using xlat::Verdict;
using xlat::VnetHeader;

constexpr int kPatience = 20'000;  // ms; only a failing test waits that long

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

bool readable(int fd) {
  pollfd wait{fd, POLLIN, 0};
  return poll(&wait, 1, kPatience) == 1;
}

void close_once(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

class Clatd : public testing::Test {
 protected:
  void SetUp() override {
    pair(tun_, child_tun_);
    pair(control_, child_control_);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    output_ = ends[0];
    child_output_ = ends[1];
  }
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    for (int* fd : {&tun_, &child_tun_, &control_, &child_control_, &output_, &child_output_}) close_once(*fd);
  }

  static std::vector<std::string> usual() {
    const auto& scene = test::neutral();
    return {"clatd-test", "-i", "test",         "-p",   scene.prefix + "/96", "-4", scene.v4, "-6", scene.v6,
            "-t",         "3",  "--tun-format", "vnet", "--control-fd",       "4"};
  }

  void start(std::vector<std::string> words = usual()) {
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      // Out of the way of each other first. dup2 clears CLOEXEC on the copies.
      const int tun = fcntl(child_tun_, F_DUPFD_CLOEXEC, 100), control = fcntl(child_control_, F_DUPFD_CLOEXEC, 100);
      const int output = fcntl(child_output_, F_DUPFD_CLOEXEC, 100);
      dup2(output, 1);
      dup2(output, 2);
      dup2(tun, 3);
      dup2(control, 4);
      execv(CLATD, argv.data());
      _exit(127);
    }
    for (int* fd : {&child_tun_, &child_control_, &child_output_}) close_once(*fd);
  }

  std::optional<control::Report> receive() const {
    control::Report report;
    if (!readable(control_) || recv(control_, &report, sizeof report, 0) != sizeof report) return std::nullopt;
    return report;
  }
  void start_and_wait_until_ready() {
    start();
    const auto report = receive();
    ASSERT_TRUE(report) << "no ready; output: " << output();
    ASSERT_EQ(report->kind, control::Kind::ready);
  }
  std::optional<control::Report> ask(std::uint64_t cookie) const {
    const control::Request request{.cookie = cookie};
    if (::send(control_, &request, sizeof request, 0) != sizeof request) return std::nullopt;
    return receive();
  }

  void put(const Bytes& packet, const VnetHeader& vnet = {}) const {
    Bytes bytes(sizeof vnet);
    std::memcpy(bytes.data(), &vnet, sizeof vnet);
    bytes = bytes + packet;
    ASSERT_EQ(write(tun_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  Bytes take() const {
    Bytes bytes(70000);
    if (!readable(tun_)) return {};
    const auto got = read(tun_, bytes.data(), bytes.size());
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }

  // Exit status, or 1000 + the signal.
  int finish() {
    std::optional<int> status;
    int raw = 0;
    if (waitpid(pid_, &raw, 0) == pid_) status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 1000 + WTERMSIG(raw);
    pid_ = -1;
    return status.value_or(-1);
  }
  std::string output() const {
    std::string text;
    char buffer[512];
    for (ssize_t got = 0; readable(output_) && (got = read(output_, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
  }
  std::string status_field(const std::string& field) const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with(field + ":")) {
        const auto at = line.find_first_not_of(" \t", field.size() + 1);
        return at == std::string::npos ? "" : line.substr(at);
      }
    }
    return "no such field";
  }

  std::string hard_limit(const std::string& name) const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/limits");
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with(name)) continue;
      std::istringstream values(line.substr(26));  // the name's column
      std::string soft, hard;
      values >> soft >> hard;
      return hard;
    }
    return "no such limit";
  }

  pid_t pid_ = -1;
  int tun_ = -1, child_tun_ = -1, control_ = -1, child_control_ = -1, output_ = -1, child_output_ = -1;

 private:
  static void pair(int& ours, int& childs) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours = ends[0];
    childs = ends[1];
  }
};

const test::Vector& vector(const std::string& name) {
  const auto found = std::ranges::find_if(test::vectors(), [&](const auto& v) { return test::test_name(v) == name; });
  if (found == test::vectors().end()) throw std::logic_error("no vector " + name);
  return *found;
}

TEST_F(Clatd, DropsWhatWasQueuedBeforeItWasReadyAndSaysHowMuch) {
  const auto& stale = vector("A1_version_6_and_flow_label_0");
  const auto& fresh = vector("G1_ihl_5_and_total_length");
  for (int i = 0; i < 3; ++i) put(stale.input);
  start();
  const auto ready = receive();
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->kind, control::Kind::ready);
  EXPECT_EQ(ready->version, control::kVersion);
  EXPECT_EQ(ready->drained, 3U);
  put(fresh.input);
  const auto first = take();
  ASSERT_GT(first.size(), sizeof(VnetHeader));
  EXPECT_EQ(first[sizeof(VnetHeader)] >> 4, 4) << "a stale packet was replayed";
}

TEST_F(Clatd, TranslatesEveryVectorOfItsConfiguration) {
  start_and_wait_until_ready();
  const auto mine = test::neutral().clat();
  std::uint64_t to_ipv6 = 0, to_ipv4 = 0, bytes_to_ipv6 = 0, sent = 0;
  for (const auto& v : test::vectors()) {
    if (v.clat.prefix != mine.prefix || v.clat.v6 != mine.v6 || v.clat.v4 != mine.v4) continue;
    put(v.input, v.vnet);
    ++sent;
    if (!v.is_translated()) continue;
    const auto got = take();
    ASSERT_GT(got.size(), sizeof(VnetHeader)) << test::test_name(v);
    VnetHeader vnet;
    std::memcpy(&vnet, got.data(), sizeof vnet);
    EXPECT_EQ(vnet, v.expected_vnet) << test::test_name(v);
    EXPECT_EQ(test::mismatch(v, std::span(got).subspan(sizeof vnet)), "") << test::test_name(v);
    if (v.direction == test::Direction::to_ipv6) {
      ++to_ipv6;
      bytes_to_ipv6 += v.input.size();
    } else {
      ++to_ipv4;
    }
  }
  // A last packet whose coming out says that all before it were looked at.
  const auto& last = vector("A1_version_6_and_flow_label_0");
  put(last.input);
  ASSERT_EQ(take().size(), sizeof(VnetHeader) + last.expected.at(0).size());
  ++sent;
  ++to_ipv6;
  bytes_to_ipv6 += last.input.size();
  const auto report = ask(0x1122334455667788);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, control::Kind::report);
  EXPECT_EQ(report->cookie, 0x1122334455667788U);
  EXPECT_GT(to_ipv6, 20U);
  EXPECT_EQ(report->to_ipv6.packets, to_ipv6);
  EXPECT_EQ(report->to_ipv6.bytes, bytes_to_ipv6);
  EXPECT_EQ(report->to_ipv4.packets, to_ipv4);
  EXPECT_EQ(report->verdicts[static_cast<std::size_t>(Verdict::translated)], to_ipv6 + to_ipv4);
  std::uint64_t all = 0;
  for (const auto count : report->verdicts) all += count;
  EXPECT_EQ(all, sent);
  EXPECT_EQ(report->write_errors, 0U);
}

TEST_F(Clatd, CountsAPacketWithoutVnetHeaderAsTruncated) {
  start_and_wait_until_ready();
  ASSERT_EQ(write(tun_, "tiny", 4), 4);
  const auto report = ask(1);
  ASSERT_TRUE(report);
  // The request may have been served first; the packet is by the second.
  const auto again = ask(2);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->verdicts[static_cast<std::size_t>(Verdict::truncated)], 1U);
}

TEST_F(Clatd, AnswersWhileTheTunIsFlooded) {
  start_and_wait_until_ready();
  ASSERT_EQ(fcntl(tun_, F_SETFL, O_NONBLOCK), 0);
  const auto& drop = vector("L9_to_224_0_0_251");
  Bytes bytes = Bytes(sizeof(VnetHeader)) + drop.input;
  const control::Request request{.cookie = 7};
  bool answered = false;
  for (int round = 0; round < 100'000 && !answered; ++round) {
    while (write(tun_, bytes.data(), bytes.size()) > 0) {
    }
    if (round == 3) {
      ASSERT_EQ(::send(control_, &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
    }
    control::Report report;
    answered = recv(control_, &report, sizeof report, MSG_DONTWAIT) == sizeof report && report.cookie == 7;
  }
  EXPECT_TRUE(answered);
}

TEST_F(Clatd, SurvivesATunWithoutRoom) {
  start_and_wait_until_ready();
  // Nobody takes the answers, so the stand-in fills up; clatd must drop rather than wait or stop.
  const auto& packet = vector("G4_result_1480");
  ASSERT_EQ(fcntl(tun_, F_SETFL, O_NONBLOCK), 0);
  Bytes bytes = Bytes(sizeof(VnetHeader)) + packet.input;
  std::uint64_t errors = 0;
  for (std::uint64_t round = 0; round < 100'000 && errors == 0; ++round) {
    while (write(tun_, bytes.data(), bytes.size()) > 0) {
    }
    const auto report = ask(round);
    ASSERT_TRUE(report) << output();
    errors = report->write_errors;
  }
  EXPECT_GT(errors, 0U);
}

TEST_F(Clatd, ExitsWhenTheSupervisorIsGone) {
  start_and_wait_until_ready();
  close_once(control_);
  EXPECT_EQ(finish(), 0);
  EXPECT_EQ(output(), "");
}

TEST_F(Clatd, ExitsOnSigterm) {
  start_and_wait_until_ready();
  kill(pid_, SIGTERM);
  EXPECT_EQ(finish(), 0);
  EXPECT_EQ(output(), "");
}

TEST_F(Clatd, LeavesTheTerminalsSignalsToItsSupervisor) {
  start_and_wait_until_ready();
  for (const int number : {SIGINT, SIGHUP, SIGQUIT}) kill(pid_, number);
  EXPECT_TRUE(ask(1));
}

TEST_F(Clatd, SaysThatTheTunIsGone) {
  start_and_wait_until_ready();
  close_once(tun_);
  EXPECT_EQ(finish(), 71);
  EXPECT_TRUE(output().starts_with("clatd: the tun device is gone"));
}

TEST_F(Clatd, RefusesARequestOfAnotherVersion) {
  start_and_wait_until_ready();
  const control::Request request{.version = control::kVersion + 1};
  ASSERT_EQ(::send(control_, &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
  EXPECT_EQ(finish(), 71);
  EXPECT_EQ(output(), "clatd: control socket: not a request of this version\n");
}

TEST_F(Clatd, RunsInItsSandbox) {
  auto words = usual();
  const bool root = geteuid() == 0;
  if (root) words.insert(words.end(), {"--user", "65534:65533"});
  start(words);
  ASSERT_TRUE(receive()) << output();
  EXPECT_EQ(status_field("NoNewPrivs"), "1");
  EXPECT_EQ(status_field("Seccomp"), kSanitized ? "0" : "2");
  for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) EXPECT_EQ(status_field(set), "0000000000000000");
  if (root) {
    EXPECT_EQ(status_field("CapBnd"), "0000000000000000");
    EXPECT_EQ(status_field("Uid"), "65534\t65534\t65534\t65534");
    EXPECT_EQ(status_field("Gid"), "65533\t65533\t65533\t65533");
    EXPECT_EQ(status_field("Groups"), "");
  }
  if (!kSanitized) {
    EXPECT_EQ(hard_limit("Max open files"), "5");
  }
  EXPECT_EQ(hard_limit("Max processes"), "0");
  EXPECT_EQ(hard_limit("Max core file size"), "0");
}

TEST_F(Clatd, SaysWhatIsWrongWithItsArguments) {
  start({"clatd-test", "-i", "test", "-p", "64:ff9b::/97"});
  EXPECT_EQ(finish(), 64);
  EXPECT_EQ(output(), "clatd: -p: prefix length /97 is none of RFC 6052's: 32, 40, 48, 56, 64, 96\n");
}

TEST_F(Clatd, SaysThatItsTunIsNotOpen) {
  auto words = usual();
  words[10] = "9";
  start(words);
  EXPECT_EQ(finish(), 71);
  EXPECT_EQ(output(), "clatd: -t: not an open file descriptor: Bad file descriptor\n");
}

TEST_F(Clatd, HelpsAndTellsItsVersion) {
  start({"clatd", "--version"});
  EXPECT_EQ(finish(), 0);
  EXPECT_EQ(output(), "clatd " CLATVISOR_VERSION "\n");
}

}  // namespace
}  // namespace clat::clatd
