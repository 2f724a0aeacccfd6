#include "supervisor/system/netlink_socket.hpp"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <optional>

namespace clat::system {

namespace {

constexpr timeval kAnswerTimeout{.tv_sec = 5, .tv_usec = 0};
// Links that come and go all the time can interrupt every dump; then the next notification starts another.
constexpr int kDumpAttempts = 10;

Result<> set_option(const Fd& fd, int level, int option, const void* value, socklen_t size, const char* name) {
  if (::setsockopt(fd.get(), level, option, value, size) != 0) return failure(name, errno);
  return {};
}

Error answered(const Acknowledgement& ack) {
  return {.what = ack.text.empty() ? "netlink" : "netlink: " + ack.text, .code = ack.code};
}

}  // namespace

void Request::start(std::uint16_t type, std::uint16_t flags) {
  mnl_nlmsg_put_header(buffer_.data());
  header()->nlmsg_type = type;
  header()->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

void Request::append(const void* bytes, std::size_t size) {
  std::memcpy(mnl_nlmsg_put_extra_header(header(), size), bytes, size);
}

void Request::put(std::uint16_t type, Bytes bytes) {
  overflown_ |= !mnl_attr_put_check(header(), buffer_.size(), type, bytes.size(), bytes.data());
}

void Request::put(std::uint16_t type, std::string_view text) {
  const std::string with_nul(text);
  put(type, Bytes(reinterpret_cast<const std::uint8_t*>(with_nul.c_str()), with_nul.size() + 1));
}

void Request::nest(std::uint16_t type, const std::function<void()>& fill) {
  nlattr* outer = mnl_attr_nest_start_check(header(), buffer_.size(), type);
  if (outer == nullptr) {
    overflown_ = true;
    return;
  }
  fill();
  mnl_attr_nest_end(header(), outer);
}

Result<> Request::send_on(const Fd& fd) {
  if (overflown_) return failure("netlink request", EMSGSIZE);
  if (::send(fd.get(), buffer_.data(), header()->nlmsg_len, 0) < 0) return failure("send netlink request", errno);
  return {};
}

Result<Fd> open_netlink(int protocol, int flags) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, protocol));
  if (!fd) return failure("open netlink socket", errno);
  const sockaddr_nl any{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) {
    return failure("bind netlink socket", errno);
  }
  return fd;
}

Result<> join_groups(const Fd& socket, std::initializer_list<int> groups) {
  for (const int group : groups) {
    if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return failure("subscribe to netlink group " + std::to_string(group), errno);
    }
  }
  return {};
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  auto opened = open_netlink(protocol);
  if (!opened) return std::unexpected(std::move(opened).error());
  Fd fd = *std::move(opened);
  const int on = 1;
  // Strict checking makes dump filters work (Linux 4.20); capped acknowledgements do not echo the request.
  for (const int option : {NETLINK_GET_STRICT_CHK, NETLINK_EXT_ACK, NETLINK_CAP_ACK}) {
    if (auto set = set_option(fd, SOL_NETLINK, option, &on, sizeof on, "set up netlink socket"); !set) {
      return std::unexpected(set.error());
    }
  }
  if (auto set = set_option(fd, SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout, "SO_RCVTIMEO"); !set) {
    return std::unexpected(set.error());
  }
  return NetlinkSocket(std::move(fd));
}

std::expected<Datagram, int> receive_datagram(const Fd& fd, std::span<std::uint8_t> buffer) {
  for (;;) {
    sockaddr_nl sender{};
    iovec area{.iov_base = buffer.data(), .iov_len = buffer.size()};
    msghdr header{};
    header.msg_name = &sender;
    header.msg_namelen = sizeof sender;
    header.msg_iov = &area;
    header.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(fd.get(), &header, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::unexpected(errno);
    if (sender.nl_pid != 0) continue;  // not from the kernel
    return Datagram{.bytes = buffer.first(static_cast<std::size_t>(size)),
                    .truncated = (header.msg_flags & MSG_TRUNC) != 0};
  }
}

Result<std::size_t> NetlinkSocket::receive() {
  const auto datagram = receive_datagram(fd_, buffer_);
  if (!datagram) {
    return failure("no answer from the kernel", datagram.error() == EAGAIN ? ETIMEDOUT : datagram.error());
  }
  if (datagram->truncated) return failure("answer from the kernel", EMSGSIZE);
  return datagram->bytes.size();
}

Result<NetlinkSocket::Outcome> NetlinkSocket::run(Request& request, const MessageSink& sink) {
  request.header()->nlmsg_seq = ++sequence_;
  if (auto sent = request.send_on(fd_); !sent) return std::unexpected(std::move(sent).error());
  return take_answers(sink);
}

Result<NetlinkSocket::Outcome> NetlinkSocket::take_answers(const MessageSink& sink) {
  Outcome outcome = Outcome::complete;
  for (;;) {
    const auto size = receive();
    if (!size) return std::unexpected(size.error());
    Bytes rest(buffer_.data(), *size);
    while (const auto message = next_message(rest)) {
      if (message->sequence != sequence_) continue;  // late answer to a request that was given up
      if ((message->flags & NLM_F_DUMP_INTR) != 0) outcome = Outcome::interrupted;
      if (const auto ack = parse_acknowledgement(*message)) {
        if (ack->code != 0) return std::unexpected(answered(*ack));
        return outcome;
      }
      if (sink) sink(*message);
    }
  }
}

Result<> NetlinkSocket::exchange(Request request, const MessageSink& sink) {
  request.header()->nlmsg_flags |= NLM_F_ACK;
  if (auto outcome = run(request, sink); !outcome) return std::unexpected(outcome.error());
  return {};
}

Result<> NetlinkSocket::transact(Request begin, Request request, Request end) {
  request.header()->nlmsg_flags |= NLM_F_ACK;
  ++sequence_;
  std::vector<std::uint8_t> batch;
  for (Request* each : {&begin, &request, &end}) {
    if (each->overflown_) return failure("netlink request", EMSGSIZE);
    each->header()->nlmsg_seq = sequence_;
    batch.insert(batch.end(), each->buffer_.begin(), each->buffer_.begin() + NLMSG_ALIGN(each->header()->nlmsg_len));
  }
  if (::send(fd_.get(), batch.data(), batch.size(), 0) < 0) return failure("send netlink batch", errno);
  if (auto outcome = take_answers({}); !outcome) return std::unexpected(outcome.error());
  return {};
}

Result<> NetlinkSocket::dump(const Request& request, const std::function<void()>& restart, const MessageSink& sink) {
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    Request again = request;
    again.header()->nlmsg_flags |= NLM_F_DUMP;
    restart();
    const auto outcome = run(again, sink);
    if (!outcome) return std::unexpected(outcome.error());
    if (*outcome == Outcome::complete) return {};
  }
  return failure("dump interrupted " + std::to_string(kDumpAttempts) + " times", EINTR);
}

}  // namespace clat::system
