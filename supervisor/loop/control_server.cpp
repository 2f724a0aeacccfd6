#include "supervisor/loop/control_server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace clat::loop {

namespace {

constexpr int kBacklog = 32;
constexpr int kAcceptedAtOnce = 8;
constexpr std::chrono::seconds kPause{1};

// By the folder's descriptor: neither does the path change under us, nor is it too long for an address.
Result<sockaddr_un> address_of(const TrustedFolder& folder, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = "/proc/self/fd/" + std::to_string(folder.fd.get()) + "/" + name;
  if (path.size() >= sizeof address.sun_path) return failure("the name of the socket is too long", ENAMETOOLONG);
  path.copy(address.sun_path, path.size());
  return address;
}

// A folder that only we could enter lets the group in as well. Others are left as they are.
Result<> open_folder_to(const TrustedFolder& folder, gid_t group) {
  struct stat facts{};
  if (::fstat(folder.fd.get(), &facts) != 0) return failure("stat " + folder.path, errno);
  const bool is_open = (facts.st_mode & S_IXOTH) != 0 || (facts.st_gid == group && (facts.st_mode & S_IXGRP) != 0);
  if (is_open) return {};
  if (::fchown(folder.fd.get(), static_cast<uid_t>(-1), group) != 0) return failure("chown " + folder.path, errno);
  if (::fchmod(folder.fd.get(), 0750) != 0) return failure("chmod " + folder.path, errno);
  return {};
}

Result<> make_private_folder(const Fd& in, const std::string& path_of_in, const std::string& name) {
  if (::mkdirat(in.get(), name.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return failure("make " + path_of_in + "/" + name, errno);
}

bool is_short_of_something(int code) { return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM; }

}  // namespace

ControlServer::ControlServer(Loop& loop, Settings settings, Asked asked)
    : loop_(loop), settings_(std::move(settings)), asked_(std::move(asked)), pause_(loop, [this] { accept_some(); }) {}

ControlServer::~ControlServer() {
  struct stat facts{};
  if (inode_ != 0 && ::fstatat(folder_.fd.get(), name_.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
      facts.st_ino == inode_) {
    (void)::unlinkat(folder_.fd.get(), name_.c_str(), 0);
  }
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(Loop& loop, Settings settings, Asked asked) {
  std::unique_ptr<ControlServer> server(new ControlServer(loop, std::move(settings), std::move(asked)));
  if (auto listening = server->listen(); !listening) {
    return std::unexpected(std::move(listening).error().in("control socket " + server->settings_.path));
  }
  return server;
}

Result<> ControlServer::listen() {
  const auto slash = settings_.path.rfind('/');
  name_ = settings_.path.substr(slash + 1);
  if (name_.empty()) return failure("the path names no file", EISDIR);
  auto folder = open_trusted(slash == 0 ? "/" : settings_.path.substr(0, slash), make_private_folder);
  if (!folder) return std::unexpected(std::move(folder).error());
  folder_ = std::move(*folder);
  if (settings_.group) {
    if (auto opened = open_folder_to(folder_, *settings_.group); !opened) return opened;
  }
  if (auto room = make_room(name_); !room) return room;

  // Complete before it has its name, so that nobody meets one that is not.
  const auto draft = name_.substr(0, 32) + "." + std::to_string(::getpid());
  const auto address = address_of(folder_, draft);
  if (!address) return std::unexpected(address.error());
  listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener_) return failure("socket", errno);
  (void)::unlinkat(folder_.fd.get(), draft.c_str(), 0);
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return failure("bind", errno);
  }
  const auto fails = [&](const char* what) {
    const int code = errno;
    (void)::unlinkat(folder_.fd.get(), draft.c_str(), 0);
    return failure(what, code);
  };
  if (settings_.group &&
      ::fchownat(folder_.fd.get(), draft.c_str(), static_cast<uid_t>(-1), *settings_.group, 0) != 0) {
    return fails("chown");
  }
  if (::fchmodat(folder_.fd.get(), draft.c_str(), settings_.group ? 0660 : 0600, 0) != 0) return fails("chmod");
  if (::listen(listener_.get(), kBacklog) != 0) return fails("listen");
  struct stat facts{};
  if (::fstatat(folder_.fd.get(), draft.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) return fails("stat");
  if (::renameat(folder_.fd.get(), draft.c_str(), folder_.fd.get(), name_.c_str()) != 0) return fails("rename");
  inode_ = facts.st_ino;

  auto watch = loop_.watch(listener_.get(), [this](Wake) { accept_some(); });
  if (!watch) return std::unexpected(std::move(watch).error());
  watch_ = std::move(*watch);
  return {};
}

// What a killed clatvisor left is replaced; a socket on which somebody listens is not, nor is anything else.
Result<> ControlServer::make_room(const std::string& name) {
  struct stat facts{};
  if (::fstatat(folder_.fd.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? Result<>() : failure("stat", errno);
  }
  if (!S_ISSOCK(facts.st_mode)) return failure("there is something that is not a socket", EEXIST);
  const auto address = address_of(folder_, name);
  if (!address) return std::unexpected(address.error());
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return failure("socket", errno);
  const int connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  if (connected == 0 || errno == EAGAIN) return failure("another clatvisor listens there", EADDRINUSE);
  return errno == ECONNREFUSED || errno == ENOENT ? Result<>() : failure("connect", errno);
}

void ControlServer::accept_some() {
  if (!watch_.active()) {
    auto watch = loop_.watch(listener_.get(), [this](Wake) { accept_some(); });
    if (!watch) return pause_.start(kPause);
    watch_ = std::move(*watch);
  }
  for (int i = 0; i < kAcceptedAtOnce && accept_one(); ++i) {
  }
}

bool ControlServer::accept_one() {
  Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    if (is_short_of_something(errno)) {
      // Who waits is still there then, and would keep the loop busy until then.
      watch_.end();
      pause_.start(kPause);
    }
    return errno == EINTR || errno == ECONNABORTED;
  }
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return true;
  const Peer peer{credentials.uid, credentials.pid};
  if (has_room_for(peer))
    admit(std::move(fd), peer);
  else
    (void)::send(fd.get(), settings_.busy.data(), settings_.busy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return true;
}

bool ControlServer::has_room_for(const Peer& peer) const {
  return sessions_.size() < kClients || (peer.uid == 0 && sessions_.size() < kClients + kRootClients);
}

void ControlServer::admit(Fd fd, const Peer& peer) {
  const auto client = ++last_;
  auto session = std::make_unique<Session>(loop_, std::move(fd), peer, [this, client] { late(client); });
  session->timer.start(kRequestTime);
  sessions_.emplace(client, std::move(session));
  watch(client, Until::reading);
}

void ControlServer::watch(Client client, Until until) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return;
  auto& session = *found->second;
  if (session.watch.active() && session.until == until) return;
  session.watch.end();
  auto watched = loop_.watch(session.fd.get(), [this, client](Wake) { wake(client); }, until);
  if (!watched) return drop(client);
  session.watch = std::move(*watched);
  session.until = until;
}

void ControlServer::wake(Client client) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return;
  switch (found->second->phase) {
    case Phase::asking: return read(client);
    case Phase::waiting: return;
    case Phase::answering: return write(client);
    case Phase::following: {
      // It has nothing more to say.
      std::array<char, 16> rest{};
      const auto size = ::recv(found->second->fd.get(), rest.data(), rest.size(), MSG_DONTWAIT);
      if (size >= 0 || (errno != EAGAIN && errno != EINTR)) return drop(client);
      return write(client);
    }
  }
}

void ControlServer::read(Client client) {
  auto& session = *sessions_.at(client);
  std::array<char, 512> buffer{};
  const auto size = ::recv(session.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return drop(client);
  session.in.append(buffer.data(), static_cast<std::size_t>(size));
  const auto end = session.in.find('\n');
  if (end == std::string::npos && session.in.size() <= settings_.longest_request) return;
  // One that is too long is told so, by whoever reads it.
  const auto line = session.in.substr(0, std::min(end, settings_.longest_request + 1));
  session.phase = Phase::waiting;
  session.watch.end();
  session.timer.start(kAnswerTime);
  const auto peer = session.peer;
  asked_(client, peer, line);
}

void ControlServer::answer(Client client, std::string text) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return;
  found->second->phase = Phase::answering;
  found->second->out = std::move(text);
  found->second->timer.start(kReadTime);
  write(client);
}

void ControlServer::answer_and_follow(Client client, std::string text) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return;
  auto& session = *found->second;
  session.phase = Phase::following;
  session.out = std::move(text);
  session.timer.stop();
  write(client);
}

void ControlServer::publish(std::string_view text) {
  std::vector<Client> behind;
  std::vector<Client> ready;
  for (auto& [client, session] : sessions_) {
    if (session->phase != Phase::following) continue;
    const bool idle = session->out.empty();
    session->out += text;
    if (session->out.size() > kMostBehind)
      behind.push_back(client);
    else if (idle)
      ready.push_back(client);
  }
  for (const auto client : behind) drop(client);
  for (const auto client : ready) write(client);
}

// As much as there is room for. What is left over waits for more room.
void ControlServer::write(Client client) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return;
  auto& session = *found->second;
  std::size_t written = 0;
  while (written < session.out.size()) {
    const auto size = ::send(session.fd.get(), session.out.data() + written, session.out.size() - written,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != EAGAIN) return drop(client);
    if (size <= 0) break;
    written += static_cast<std::size_t>(size);
  }
  session.out.erase(0, written);
  const bool follows = session.phase == Phase::following;
  if (session.out.empty()) {
    if (!follows) return drop(client);
    return watch(client, Until::reading);
  }
  if (written > 0 && !follows) session.timer.start(kReadTime);
  watch(client, follows ? Until::writing : Until::room);
}

void ControlServer::late(Client client) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return;
  if (found->second->phase != Phase::waiting) return drop(client);
  answer(client, settings_.late);
}

}  // namespace clat::loop
