#include "clatd_fixture.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "tests/support/vector_parts.hpp"

namespace clat::clatd {

using test::Bytes;
using xlat::VnetHeader;

Words operator+(Words left, const Words& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

bool readable(const Fd& fd) {
  pollfd wait{fd.get(), POLLIN, 0};
  return poll(&wait, 1, kPatience) == 1;
}

std::pair<Fd, Fd> socket_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
  return {Fd(ends[0]), Fd(ends[1])};
}

const test::Vector& vector_named(const std::string& name) {
  const auto found = std::ranges::find_if(test::vectors(), [&](const auto& v) { return test::test_name(v) == name; });
  if (found == test::vectors().end()) throw std::logic_error("no vector " + name);
  return *found;
}

std::string status_field(const std::filesystem::path& task, const std::string& field) {
  std::ifstream file(task / "status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(field + ":")) continue;
    const auto at = line.find_first_not_of(" \t", field.size() + 1);
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "no such field";
}

ClatdProcess::ClatdProcess() {
  tun_ = give_pair(3);
  control_ = give_pair(4);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  output_.reset(ends[0]);
  give(Fd(fcntl(ends[1], F_DUPFD_CLOEXEC, 3)), 1);
  give(Fd(ends[1]), 2);
}

ClatdProcess::~ClatdProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Words ClatdProcess::usual() {
  const auto& scene = test::neutral();
  return {"clatd-test", "-i", "test",         "-p",   scene.prefix + "/96", "-4", scene.v4, "-6", scene.v6,
          "-t",         "3",  "--tun-format", "vnet", "--control-fd",       "4"};
}

Fd ClatdProcess::give_pair(int number) {
  auto [ours, childs] = socket_pair();
  give(std::move(childs), number);
  return std::move(ours);
}

void ClatdProcess::start(Words words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  ASSERT_GE(pid_, 0);
  if (pid_ == 0) {
    // Out of the way of each other first. dup2 clears CLOEXEC on the copies.
    for (auto& [fd, number] : given_) fd = Fd(fcntl(fd.release(), F_DUPFD_CLOEXEC, 200));
    for (auto& [fd, number] : given_) dup2(fd.get(), number);
    execv(CLATD, argv.data());
    _exit(127);
  }
  given_.clear();
}

void ClatdProcess::start_and_wait_until_ready(const Words& words) {
  start(words);
  const auto report = receive();
  ASSERT_TRUE(report) << "no ready; output: " << output();
  ASSERT_EQ(report->kind, control::Kind::ready);
}

std::optional<control::Report> ClatdProcess::receive() const {
  control::Report report;
  if (!readable(control_) || recv(control_.get(), &report, sizeof report, 0) != sizeof report) return std::nullopt;
  return report;
}

std::optional<control::Report> ClatdProcess::ask(control::Request request) const {
  if (send_control(&request, sizeof request) != sizeof request) return std::nullopt;
  return receive();
}

ssize_t ClatdProcess::send_control(const void* message, std::size_t size) const {
  return send(control_.get(), message, size, MSG_NOSIGNAL);
}

void ClatdProcess::put(const Fd& tun, const Bytes& packet, const VnetHeader& vnet) {
  Bytes bytes(sizeof vnet);
  std::memcpy(bytes.data(), &vnet, sizeof vnet);
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  ASSERT_EQ(write(tun.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
}

Bytes ClatdProcess::take(const Fd& tun) {
  Bytes bytes(70000);
  if (!readable(tun)) return {};
  const auto got = read(tun.get(), bytes.data(), bytes.size());
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

void ClatdProcess::flood(const Bytes& packet) const {
  Bytes bytes(sizeof(VnetHeader));
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  while (send(tun_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
  }
}

int ClatdProcess::finish() {
  int raw = 0;
  const bool waited = waitpid(pid_, &raw, 0) == pid_;
  pid_ = -1;
  if (!waited) return -1;
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 1000 + WTERMSIG(raw);
}

void ClatdProcess::signal(int number) const { kill(pid_, number); }

std::string ClatdProcess::output() const {
  std::string text;
  char buffer[512];
  for (ssize_t got = 0; readable(output_) && (got = read(output_.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

std::string ClatdProcess::line() const {
  std::string text;
  for (char letter = 0; readable(output_) && read(output_.get(), &letter, 1) == 1 && letter != '\n';) text += letter;
  return text;
}

}  // namespace clat::clatd
