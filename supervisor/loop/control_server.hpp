// The control socket: a line in, a text out. Whoever may connect is asked nothing else; clients that are slow, silent
// or too many cost a descriptor for a few seconds, never time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/base/trusted_folder.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/loop/timer.hpp"

namespace clat::loop {

class ControlServer {
 public:
  using Client = std::uint64_t;  // never used twice
  struct Peer {
    uid_t uid = 0;
    pid_t pid = 0;
  };
  // The first line of a client, without its newline. The answer may come at once, later, or never.
  using Asked = std::function<void(Client client, const Peer& peer, const std::string& line)>;
  struct Settings {
    std::string path;              // of the socket; its folder is made where it is missing
    std::optional<gid_t> group{};  // that may connect as well
    std::size_t longest_request = 256;
    // What a client hears that has waited too long, or is one too many.
    std::string late;
    std::string busy;
  };

  static constexpr std::size_t kClients = 16;
  static constexpr std::size_t kRootClients = 4;  // more, for root alone
  static constexpr std::chrono::seconds kRequestTime{5};
  static constexpr std::chrono::seconds kAnswerTime{60};
  static constexpr std::chrono::seconds kReadTime{5};                 // without taking any of the answer
  static constexpr std::size_t kMostBehind = std::size_t{64} * 1024;  // bytes that a follower has not taken

  // EADDRINUSE: somebody listens there. `loop` outlives the server.
  static Result<std::unique_ptr<ControlServer>> open(Loop& loop, Settings settings, Asked asked);
  ControlServer(const ControlServer&) = delete;  // its sessions refer to it
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();  // removes the socket, if it still is this one

  // All of it, and then the connection ends. Of a client that is gone, nothing.
  void answer(Client client, std::string text);
  // The same, but it stays, and hears what is published from now on.
  void answer_and_follow(Client client, std::string text);
  void publish(std::string_view text);

 private:
  enum class Phase : std::uint8_t { asking, waiting, answering, following };
  struct Session {
    Session(Loop& loop, Fd fd_, Peer peer_, std::function<void()> late)
        : fd(std::move(fd_)), peer(peer_), timer(loop, std::move(late)) {}

    Fd fd;
    Peer peer;
    Phase phase = Phase::asking;
    std::string in;
    std::string out;  // not taken yet
    Timer timer;
    Until until = Until::reading;  // what is watched for
    Watch watch;                   // ends before the descriptor
  };

  ControlServer(Loop& loop, Settings settings, Asked asked);
  Result<> listen();
  Result<> make_room(const std::string& name);
  void accept_some();
  bool accept_one();
  void admit(Fd fd, const Peer& peer);
  [[nodiscard]] bool has_room_for(const Peer& peer) const;
  void read(Client client);
  void write(Client client);
  void wake(Client client);
  void watch(Client client, Until until);
  void late(Client client);
  void drop(Client client) { sessions_.erase(client); }

  Loop& loop_;
  Settings settings_;
  Asked asked_;
  TrustedFolder folder_;
  std::string name_;  // in it
  ino_t inode_ = 0;   // of the socket
  Fd listener_;
  Watch watch_;
  Timer pause_;  // no descriptors are left: later
  Client last_ = 0;
  std::map<Client, std::unique_ptr<Session>> sessions_;
};

}  // namespace clat::loop
