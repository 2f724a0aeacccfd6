#include "supervisor/loop/control_channel.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

namespace clat::loop {

static_assert(std::is_trivially_copyable_v<control::Report>);

Result<control::Report> decode_report(std::span<const std::byte> message) {
  control::Report report;
  if (message.size() != sizeof report) {
    return failure("control message of " + std::to_string(message.size()) + " bytes instead of " +
                   std::to_string(sizeof report));
  }
  // The kind is compared before it becomes an enum: any other value would be none of its own.
  std::uint32_t version = 0;
  std::uint32_t kind = 0;
  std::memcpy(&version, message.data() + offsetof(control::Report, version), sizeof version);
  std::memcpy(&kind, message.data() + offsetof(control::Report, kind), sizeof kind);
  if (version != control::kVersion) {
    return failure("control message of version " + std::to_string(version) + " instead of " +
                   std::to_string(control::kVersion));
  }
  if (kind != static_cast<std::uint32_t>(control::Kind::ready) &&
      kind != static_cast<std::uint32_t>(control::Kind::report)) {
    return failure("control message of kind " + std::to_string(kind));
  }
  std::memcpy(&report, message.data(), sizeof report);
  return report;
}

Result<> ControlChannel::request() {
  if (!closed_ && waiting()) return {};
  return send({});
}

Result<> ControlChannel::tell_mtus(std::uint32_t mtu, std::uint32_t lowest_ipv6_mtu) {
  return send({.kind = control::Kind::mtus, .mtu = mtu, .lowest_ipv6_mtu = lowest_ipv6_mtu});
}

Result<> ControlChannel::send(control::Request request) {
  if (closed_) return failure("control socket is closed", EPIPE);
  request.cookie = asked_ + 1;
  if (::send(fd_.get(), &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    return failure("send control request", errno);
  }
  ++asked_;
  return {};
}

bool ControlChannel::read(const Listener& listener) {
  for (int i = 0; !closed_ && i < kBatch; ++i) {
    switch (read_one(listener)) {
      case Next::more: break;
      case Next::later: return true;
      case Next::close: closed_ = true; break;
    }
  }
  if (!closed_) return true;
  if (std::exchange(answered_, asked_) != asked_) listener.answer(nullptr);
  return false;
}

ControlChannel::Next ControlChannel::read_one(const Listener& listener) {
  // One byte more than a message, so that a longer one is noticed. Descriptors sent along are not received.
  std::array<std::byte, sizeof(control::Report) + 1> buffer{};
  const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && errno == EINTR) return Next::more;
  // Reset: it closed its end with a request unread. What it had sent before can still be read.
  if (size < 0 && errno == ECONNRESET) return Next::more;
  // Out of memory, too: what it said is still there.
  if (size < 0) return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ? Next::later : Next::close;
  if (size == 0) return Next::close;
  const auto message = decode_report(std::span(buffer).first(static_cast<std::size_t>(size)));
  const Result<> accepted = message ? accept(*message, listener) : std::unexpected(message.error());
  if (accepted) return Next::more;
  listener.violation(accepted.error());
  return Next::close;
}

Result<> ControlChannel::accept(const control::Report& message, const Listener& listener) {
  if (message.kind == control::Kind::ready) {
    if (std::exchange(ready_, true)) return failure("ready for the second time");
    listener.ready(message);
    return {};
  }
  // A child whose answer finds no room goes on to the next.
  if (message.cookie <= answered_ || message.cookie > asked_) return failure("a report that nobody asked for");
  answered_ = message.cookie;
  listener.answer(&message);
  return {};
}

}  // namespace clat::loop
