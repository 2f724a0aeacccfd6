// Plays clatd: `clatd-up0 DEED [ARGUMENT…]`.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/clatd/control.hpp"

namespace {

using namespace clat;

constexpr int kControl = 4;

void send(const void* data, std::size_t size) {
  if (::send(kControl, data, size, MSG_NOSIGNAL) < 0) std::exit(99);
}

void send_ready(std::uint64_t drained) {
  control::Report report;
  report.kind = control::Kind::ready;
  report.drained = drained;
  send(&report, sizeof report);
}

// Its descriptors, signal state and environment, a line each.
int inspect(const char* name) {
  std::vector<std::string> lines;
  DIR* folder = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == ::dirfd(folder)) continue;
    std::array<char, 256> target{};
    if (::readlinkat(::dirfd(folder), entry->d_name, target.data(), target.size() - 1) < 0) return 99;
    std::printf("fd %d %s\n", fd, target.data());
  }
  ::closedir(folder);
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk:") || line.starts_with("SigIgn:")) std::printf("%s\n", line.c_str());
  }
  std::printf("environment %d\n", environ[0] == nullptr ? 0 : 1);
  std::printf("name %s\n", name);
  return 0;
}

int wait_for_signal() {
  for (;;) ::pause();
}

// Ready, then answers each request; ends when the supervisor does.
int serve() {
  send_ready(7);
  control::Request request;
  for (std::uint64_t asked = 1; ::recvfrom(kControl, &request, sizeof request, 0, nullptr, nullptr) != 0;) {
    if (errno == EAGAIN) {
      pollfd ready{kControl, POLLIN, 0};
      ::poll(&ready, 1, -1);
      errno = 0;
      continue;
    }
    control::Report report;
    report.cookie = request.cookie;
    report.to_ipv6.packets = 100 * asked++;
    send(&report, sizeof report);
  }
  return 0;
}

// Never ready, never answers; and when it has read a request, dies.
int mute() {
  control::Request request;
  pollfd ready{kControl, POLLIN, 0};
  ::poll(&ready, 1, -1);
  return ::recv(kControl, &request, sizeof request, 0) == sizeof request ? 5 : 99;
}

int lie(std::string_view how) {
  control::Report report;
  report.kind = control::Kind::ready;
  std::array<char, 4096> zeros{};
  if (how == "short") send(&report, sizeof report - 1);
  if (how == "long") send(zeros.data(), zeros.size());
  if (how == "empty") send(zeros.data(), 0);
  if (how == "version") {
    ++report.version;
    send(&report, sizeof report);
  }
  if (how == "kind") {
    const std::uint32_t kind = 77;
    std::memcpy(&report.kind, &kind, sizeof kind);
    send(&report, sizeof report);
  }
  if (how == "request") {
    report.kind = control::Kind::request;
    send(&report, sizeof report);
  }
  if (how == "ready twice") {
    send_ready(0);
    send_ready(0);
  }
  if (how == "unasked report") {
    report.kind = control::Kind::report;
    send(&report, sizeof report);
  }
  // The supervisor has closed its end, or will.
  return 0;
}

int wait_for_signal_in_silence() {
  ::close(kControl);
  return wait_for_signal();
}

// Ends when it was told of MTUs, with their difference as status.
int obey() {
  control::Request request;
  pollfd ready{kControl, POLLIN, 0};
  ::poll(&ready, 1, -1);
  if (::recv(kControl, &request, sizeof request, 0) != sizeof request || request.kind != control::Kind::mtus) return 99;
  return static_cast<int>(request.mtu - request.lowest_ipv6_mtu);
}

// Sends some descriptors along with its ready.
int smuggle() {
  control::Report report;
  report.kind = control::Kind::ready;
  iovec data{&report, sizeof report};
  constexpr std::size_t kFds = 8;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFds * sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(kFds * sizeof(int));
  const std::array<int, kFds> fds{};
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  return ::sendmsg(kControl, &message, 0) < 0 ? 99 : 0;
}

// Leaves a child of its own behind, which ends when this one has.
int orphan() {
  std::array<int, 2> lifeline{};
  if (::pipe(lifeline.data()) != 0) return 99;
  if (::fork() == 0) {
    ::close(lifeline[1]);
    char byte = 0;
    return static_cast<int>(::read(lifeline[0], &byte, 1));
  }
  return 6;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view deed = argc > 1 ? argv[1] : "";
  const std::string argument = argc > 2 ? argv[2] : "";
  if (deed == "inspect") return inspect(argv[0]);
  if (deed == "exit") return std::atoi(argument.c_str());
  if (deed == "die") return ::raise(std::atoi(argument.c_str()));
  if (deed == "wait") return wait_for_signal();
  if (deed == "serve") return serve();
  if (deed == "mute") return mute();
  if (deed == "lie") {
    const int status = lie(argument);
    return argc > 3 ? wait_for_signal() : status;
  }
  if (deed == "fall silent") return wait_for_signal_in_silence();
  if (deed == "obey") return obey();
  if (deed == "smuggle") return smuggle();
  if (deed == "orphan") return orphan();
  if (deed == "print") {
    const ssize_t written = ::write(argc > 3 ? 2 : 1, argument.data(), argument.size());
    return written == static_cast<ssize_t>(argument.size()) ? 0 : 99;
  }
  if (deed == "flood") {
    for (int i = 0; i < std::atoi(argument.c_str()); ++i) std::printf("line %d\n", i);
    return 0;
  }
  return 98;
}
