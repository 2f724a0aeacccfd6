// A netlink socket for requests and dumps, and the request that goes out on it.
#pragma once

#include <linux/netlink.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <expected>
#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/system/netlink_message.hpp"

namespace clat::system {

// One datagram of the kernel's; what others send to the socket is passed over. A system call that a signal interrupted
// is made again.
struct Datagram {
  Bytes bytes;
  bool truncated = false;  // longer than `buffer`
};
// The error is the bare errno, EAGAIN where nothing is there (any more).
std::expected<Datagram, int> receive_datagram(const Fd& fd, std::span<std::uint8_t> buffer);

// Bound to an address of its own: without one the kernel takes it for itself, and tells it nothing. `flags` are of
// socket(2), beyond SOCK_CLOEXEC.
Result<Fd> open_netlink(int protocol, int flags = 0);
// It hears of these groups from now on; a filter has to be attached before.
Result<> join_groups(const Fd& socket, std::initializer_list<int> groups);

// One message in the making. What does not fit is remembered, and makes the exchange fail.
class Request {
 public:
  template <class Body>
  Request(std::uint16_t type, std::uint16_t flags, const Body& body) {
    start(type, flags);
    append(&body, sizeof body);
  }

  void put(std::uint16_t type, Bytes bytes);
  void put(std::uint16_t type, std::string_view text);  // with its NUL
  template <std::integral Number>
  void put(std::uint16_t type, Number number) {
    put(type, Bytes(reinterpret_cast<const std::uint8_t*>(&number), sizeof number));
  }
  // Attributes put by `fill` lie inside one of this type.
  void nest(std::uint16_t type, const std::function<void()>& fill);
  // For one who reads the answers by himself.
  Result<> send_on(const Fd& fd);

 private:
  friend class NetlinkSocket;
  void start(std::uint16_t type, std::uint16_t flags);
  void append(const void* bytes, std::size_t size);
  [[nodiscard]] nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }

  alignas(nlmsghdr) std::array<std::uint8_t, 1024> buffer_{};
  bool overflown_ = false;
};

// Blocking, one exchange at a time; the kernel answers at once, so an answer overdue by seconds is an error.
class NetlinkSocket {
 public:
  static Result<NetlinkSocket> open(int protocol = NETLINK_ROUTE);

  using MessageSink = std::function<void(const Message&)>;
  // Sends, hands every answer to `sink`, returns at the acknowledgement. The error has the errno and the text of the
  // kernel's (extended) acknowledgement.
  Result<> exchange(Request request, const MessageSink& sink = {});
  // nfnetlink takes what changes something between two marks.
  Result<> transact(Request begin, Request request, Request end);
  // A dump that the kernel calls inconsistent is asked for again, a few times; `restart` comes before each attempt.
  Result<> dump(const Request& request, const std::function<void()>& restart, const MessageSink& sink);

 private:
  explicit NetlinkSocket(Fd fd) : fd_(std::move(fd)), buffer_(kBuffer) {}
  enum class Outcome { complete, interrupted };
  Result<Outcome> run(Request& request, const MessageSink& sink);
  Result<Outcome> take_answers(const MessageSink& sink);
  Result<std::size_t> receive();

  static constexpr std::size_t kBuffer = std::size_t{64} * 1024;  // the kernel fills at most 32 KiB per read of a dump
  Fd fd_;
  std::vector<std::uint8_t> buffer_;
  std::uint32_t sequence_ = 0;
};

}  // namespace clat::system
