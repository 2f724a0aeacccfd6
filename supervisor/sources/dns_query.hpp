// One DNS question over one uplink, by c-ares: ids, ports, repetition, TCP where an answer is too long for UDP.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "core/base/error.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/loop/timer.hpp"
#include "supervisor/model/nat64_question.hpp"

struct ares_channeldata;

namespace clat::sources {

// For the AAAA records of ipv4only.arpa. Its sockets are bound to the uplink and to the question's own address, but for
// servers on this host.
class DnsQuery {
 public:
  using Message = std::vector<std::uint8_t>;  // as it came: an answer to this question, or an error of the last server
  using Done = std::function<void(Result<Message>)>;
  static constexpr std::chrono::milliseconds kFirstPatience{1000};  // with each server; twice as long the second time
  static constexpr int kRounds = 2;

  // `done` is called once, in a later turn of the loop; it may end the query. `loop` outlives it.
  DnsQuery(loop::Loop& loop, const model::Nat64Question& question, Done done);
  DnsQuery(const DnsQuery&) = delete;
  DnsQuery& operator=(const DnsQuery&) = delete;
  ~DnsQuery();

 private:
  struct Calls;  // what c-ares calls
  Result<> begin();
  Result<> set_servers();
  Result<> bind_to_uplink(int fd) const;
  void note(std::span<const std::uint8_t> datagram);
  void watch(int fd, bool reading, bool writing);
  // With a socket that something came for, or -1.
  void go_on(int fd);
  void wait();
  void deliver();

  loop::Loop& loop_;
  model::Nat64Question question_;
  Done done_;
  std::optional<Result<Message>> result_;
  Result<> bound_;                  // the last time
  std::optional<Message> refusal_;  // the last
  std::map<int, loop::Watch> watches_;
  loop::Timer timer_;
  ares_channeldata* channel_ = nullptr;
};

}  // namespace clat::sources
