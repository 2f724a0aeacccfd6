#include "supervisor/sources/pinger.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "core/base/socket_filter.hpp"
#include "core/net/echo.hpp"

namespace clat::sources {

namespace {

sockaddr_in socket_address(const Ipv4Address& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  std::memcpy(&result.sin_addr, address.bytes.data(), sizeof result.sin_addr);
  return result;
}

// Of all ICMP, echo replies with this identifier.
Result<> hear_only(const Fd& socket, std::uint16_t identifier) {
  constexpr std::uint32_t kTypeAndCode = 0, kIdentifier = 4;  // behind the IPv4 header
  const std::array<sock_filter, 7> program{{
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, kTypeAndCode),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, kIdentifier),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, identifier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  return attach_filter(socket, program);
}

}  // namespace

Result<std::unique_ptr<Pinger>> Pinger::start(loop::Loop& loop, const model::Ping& ping, Done done) {
  std::unique_ptr<Pinger> pinger(new Pinger(loop, ping, std::move(done)));
  auto sent = pinger->open();
  if (sent) {
    auto watch = loop.watch(pinger->socket_.get(), [self = pinger.get()](loop::Wake) { self->read(); });
    if (!watch) return std::unexpected(std::move(watch).error());
    pinger->watch_ = std::move(*watch);
    sent = pinger->send();
  }
  if (!sent) return std::unexpected(std::move(sent).error().in("ping " + ping.target.text()));
  pinger->timer_.start(ping.patience);
  return pinger;
}

// Without a protocol nothing comes in before the filter is there.
Result<> Pinger::open() {
  socket_ = Fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP));
  if (!socket_) return failure("socket", errno);
  if (auto filtered = hear_only(socket_, ping_.echo.identifier); !filtered) return filtered;
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_BINDTOIFINDEX, &ping_.tun, sizeof ping_.tun) != 0) {
    return failure("SO_BINDTOIFINDEX", errno);
  }
  const auto own = socket_address(ping_.source);
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
    return failure("bind to " + ping_.source.text(), errno);
  }
  const auto target = socket_address(ping_.target);
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0) {
    return failure("connect", errno);
  }
  return {};
}

Result<> Pinger::send() {
  const auto request = make_echo_request(ping_.echo);
  if (::send(socket_.get(), request.data(), request.size(), 0) < 0) return failure("send", errno);
  return {};
}

// What others send to be taken for the answer keeps nobody else waiting. ICMP errors, which come as errors of the
// socket, anybody can send: they end nothing.
void Pinger::read() {
  constexpr int kPerTurn = 32;
  for (int i = 0; i < kPerTurn; ++i) {
    const auto size = ::recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size >= 0 && is_echo_reply(std::span(buffer_).first(static_cast<std::size_t>(size)), ping_.echo)) {
      return end({});
    }
  }
}

void Pinger::end(Result<> result) {
  timer_.stop();
  watch_.end();
  // It may end this.
  const auto done = done_;
  done(model::PingEnded{ping_.uplink, ping_.echo.nonce, std::move(result)});
}

}  // namespace clat::sources
