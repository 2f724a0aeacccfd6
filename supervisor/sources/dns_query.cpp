#include "supervisor/sources/dns_query.hpp"

#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "core/net/dns64.hpp"

namespace clat::sources {

namespace {

constexpr int kClassIn = 1;
constexpr int kTypeAaaa = 28;

sockaddr_in6 socket_address(const Ipv6Address& address, int ifindex) {
  sockaddr_in6 result{};
  result.sin6_family = AF_INET6;
  std::ranges::copy(address.bytes, result.sin6_addr.s6_addr);
  if (address.is_link_local()) result.sin6_scope_id = static_cast<std::uint32_t>(ifindex);
  return result;
}

Result<> set_option(int fd, int option, int value, const char* name) {
  if (::setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) != 0) return failure(name, errno);
  return {};
}

Error ares_error(const char* what, int status) { return {std::string(what) + ": " + ares_strerror(status)}; }

}  // namespace

// c-ares 1.18 binds sockets before it knows where they lead, takes no zone with an address, and goes on when a socket
// cannot be bound to its device: so the sockets are made here.
struct DnsQuery::Calls {
  static ares_socket_t open(int family, int type, int protocol, void*) {
    return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  }
  static int close(ares_socket_t fd, void*) { return ::close(fd); }

  static int connect(ares_socket_t fd, const sockaddr* to, ares_socklen_t, void* data) {
    auto& self = *static_cast<DnsQuery*>(data);
    NameServer server;
    const auto* asked = reinterpret_cast<const sockaddr_in6*>(to);
    std::ranges::copy(asked->sin6_addr.s6_addr, server.address.bytes.begin());
    auto address = socket_address(server.address, self.question_.ifindex);
    address.sin6_port = asked->sin6_port;
    if (!server.is_loopback()) {
      self.bound_ = self.bind_to_uplink(fd);
      if (!self.bound_) {
        errno = self.bound_.error().code;
        return -1;
      }
    }
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }

  static ares_ssize_t receive(ares_socket_t fd, void* to, size_t size, int flags, sockaddr* from,
                              ares_socklen_t* from_size, void* data) {
    const auto got = ::recvfrom(fd, to, size, flags, from, from_size);
    const bool is_datagram = from != nullptr;
    if (is_datagram && got > 0) {
      static_cast<DnsQuery*>(data)->note({static_cast<const std::uint8_t*>(to), static_cast<std::size_t>(got)});
    }
    return got;
  }

  static ares_ssize_t send(ares_socket_t fd, const iovec* parts, int count, void*) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);  // sendmsg does not write to them
    message.msg_iovlen = static_cast<std::size_t>(count);
    return ::sendmsg(fd, &message, MSG_NOSIGNAL);
  }

  static void state(void* data, ares_socket_t fd, int reading, int writing) {
    static_cast<DnsQuery*>(data)->watch(fd, reading != 0, writing != 0);
  }

  static void answer(void* data, int status, int, unsigned char* bytes, int size) {
    if (status == ARES_EDESTRUCTION) return;
    auto& self = *static_cast<DnsQuery*>(data);
    if (self.result_) return;
    if (status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND) {
      self.result_ = Message(bytes, bytes + (bytes == nullptr ? 0 : size));
    } else if (!self.bound_) {
      self.result_ = std::unexpected(self.bound_.error());
    } else if (self.refusal_ && status == ARES_ECONNREFUSED) {
      self.result_ = *std::move(self.refusal_);
    } else {
      self.result_ = failure(ares_strerror(status));
    }
  }
};

DnsQuery::DnsQuery(loop::Loop& loop, const model::Nat64Question& question, Done done)
    : loop_(loop), question_(question), done_(std::move(done)), timer_(loop, [this] { go_on(ARES_SOCKET_BAD); }) {
  if (auto begun = begin(); !begun) result_ = std::unexpected(std::move(begun).error());
  wait();
}

DnsQuery::~DnsQuery() {
  if (channel_ != nullptr) ares_destroy(channel_);
}

Result<> DnsQuery::begin() {
  if (question_.servers.empty()) return failure("no DNS server is known");
  static std::string no_file = "/dev/null";  // c-ares takes char*, and copies it
  static std::string dns_alone = "b";
  ares_options options{};
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  options.timeout = static_cast<int>(kFirstPatience.count());
  options.tries = kRounds;
  options.lookups = dns_alone.data();
  options.resolvconf_path = no_file.data();
  options.sock_state_cb = Calls::state;
  options.sock_state_cb_data = this;
  constexpr int kGiven = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF |
                         ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;
  if (const int status = ares_init_options(&channel_, &options, kGiven); status != ARES_SUCCESS) {
    return std::unexpected(ares_error("ares_init_options", status));
  }
  if (auto set = set_servers(); !set) return set;
  static constexpr ares_socket_functions kCalls{Calls::open, Calls::close, Calls::connect, Calls::receive, Calls::send};
  ares_set_socket_functions(channel_, &kCalls, this);
  ares_query(channel_, std::string(kIpv4OnlyName).c_str(), kClassIn, kTypeAaaa, Calls::answer, this);
  return {};
}

Result<> DnsQuery::set_servers() {
  std::vector<ares_addr_port_node> nodes(std::min(question_.servers.size(), kMostNameServers));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    nodes[i].next = i + 1 < nodes.size() ? &nodes[i + 1] : nullptr;
    nodes[i].family = AF_INET6;
    std::ranges::copy(question_.servers[i].address.bytes, nodes[i].addr.addr6._S6_un._S6_u8);
  }
  const int status = ares_set_servers_ports(channel_, nodes.data());
  if (status != ARES_SUCCESS) return std::unexpected(ares_error("ares_set_servers_ports", status));
  return {};
}

// Both: with the device alone source-specific routes are not found, and with the address alone the routes choose the
// device.
Result<> DnsQuery::bind_to_uplink(int fd) const {
  const auto context = "ask over " + question_.uplink;
  auto bound = set_option(fd, SO_BINDTOIFINDEX, question_.ifindex, "SO_BINDTOIFINDEX");
  if (bound && question_.mark != 0) bound = set_option(fd, SO_MARK, static_cast<int>(question_.mark), "SO_MARK");
  if (!bound) return in_context(std::move(bound), context);
  const auto own = socket_address(question_.own, question_.ifindex);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
    return failure(context + " from " + question_.own.text(), errno);
  }
  return {};
}

// When all servers reported an error, c-ares says that it could not reach them.
void DnsQuery::note(std::span<const std::uint8_t> datagram) {
  constexpr std::size_t kCode = 3;
  constexpr unsigned kNoSuchName = 3;
  const unsigned code = datagram.size() > kCode ? datagram[kCode] & 0xfU : 0;
  if (code != 0 && code != kNoSuchName) refusal_ = Message(datagram.begin(), datagram.end());
}

void DnsQuery::watch(int fd, bool reading, bool writing) {
  watches_.erase(fd);
  if (!reading && !writing) return;
  auto watch =
      loop_.watch(fd, [this, fd](loop::Wake) { go_on(fd); }, writing ? loop::Until::writing : loop::Until::reading);
  if (watch)
    watches_.emplace(fd, std::move(*watch));
  else
    result_ = std::unexpected(std::move(watch).error());
}

void DnsQuery::go_on(int fd) {
  if (!result_) ares_process_fd(channel_, fd, fd);
  if (result_) return deliver();
  wait();
}

// What is known already is delivered in a later turn.
void DnsQuery::wait() {
  timeval left{};
  if (result_ || ares_timeout(channel_, nullptr, &left) == nullptr) return timer_.start({});
  timer_.start(std::chrono::seconds(left.tv_sec) +
               std::chrono::ceil<std::chrono::milliseconds>(std::chrono::microseconds(left.tv_usec)));
}

void DnsQuery::deliver() {
  timer_.stop();
  // It may end this.
  const auto done = std::exchange(done_, nullptr);
  if (done) done(*std::move(result_));
}

}  // namespace clat::sources
