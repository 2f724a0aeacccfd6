// Sockets on both sides and no clatd at all: what TCP and UDP get from the fast path alone.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <thread>

#include "tests/bpf/lab.hpp"
#include "tests/bpf/packet_io.hpp"
#include "tests/bpf/programs.hpp"

namespace clat::test {
namespace {

constexpr char kServer4[] = "198.51.100.7";
constexpr char kServer6[] = "2001:db8:64::c633:6407";
constexpr char kNative6[] = "2001:db8:1::2";
constexpr char kClat6[] = "2001:db8:1::c1a7";

sockaddr_storage address(const std::string& text, std::uint16_t port) {
  sockaddr_storage storage{};
  auto& four = reinterpret_cast<sockaddr_in&>(storage);
  auto& six = reinterpret_cast<sockaddr_in6&>(storage);
  if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
  } else if (inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
  }
  return storage;
}
Fd socket_of(int family, int type) {
  Fd fd(socket(family, type | SOCK_CLOEXEC, 0));
  const timeval patience{10, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  return fd;
}
template <class Call>
int with(const sockaddr_storage& address, Call call) {
  return call(reinterpret_cast<const sockaddr*>(&address), socklen_t{sizeof(address)});
}

class TrafficTest : public testing::TestWithParam<bool> {
 protected:
  TrafficTest() {
    shell(std::string("ip addr add 192.0.0.4/32 dev ") + kTun);
    shell(std::string("ip link set mtu 1472 dev ") + kTun);
    shell(std::string("ip route add default dev ") + kTun);
    // Solicitations for packets that are not from an address of this host go out from the link-local one.
    shell(std::string("ip addr add fe80::1/64 nodad dev ") + kUplink);
    shell(std::string("ip addr add 2001:db8:1::1/64 nodad dev ") + kUplink);
    shell(std::string("ip -6 route add blackhole ") + kClat6);
    shell(std::string("ip -6 route add default via ") + kNative6 + " dev " + kUplink);
    lab_.on_peer([] {
      shell(std::string("ip addr add fe80::2/64 nodad dev ") + kPeerLink);
      shell(std::string("ip addr add ") + kNative6 + "/64 nodad dev " + kPeerLink);
      shell(std::string("ip addr add ") + kServer6 + "/128 nodad dev lo");
    });
    auto opened = BothParts::open(folder_.bpf_dir(), GetParam());
    if (!opened) throw std::runtime_error(opened.error().text());
    fast_path_.emplace(std::move(*opened));
    if (auto done = fast_path_->attach(attachment()); !done) throw std::runtime_error(done.error().text());
  }
  [[nodiscard]] bpf::Attachment attachment() const {
    auto wanted = lab_.attachment();
    wanted.v6 = *Ipv6Address::parse(kClat6);
    wanted.prefix = *Nat64Prefix::parse("2001:db8:64::/96");
    return wanted;
  }
  std::uint64_t count(const char* name) { return counter(*fast_path_->counters(attachment()), name); }

  Fd server(int type, std::uint16_t port) {
    Fd fd;
    lab_.on_peer([&] {
      fd = socket_of(AF_INET6, type);
      EXPECT_EQ(with(address(kServer6, port), [&](auto... a) { return bind(fd.get(), a...); }), 0);
      if (type == SOCK_STREAM) {
        EXPECT_EQ(listen(fd.get(), 4), 0);
      }
    });
    return fd;
  }
  Fd client(int type, std::uint16_t port) {
    auto fd = socket_of(AF_INET, type);
    EXPECT_EQ(with(address(kServer4, port), [&](auto... a) { return connect(fd.get(), a...); }), 0);
    return fd;
  }

  BpfFolder folder_;
  Lab lab_;
  std::optional<BothParts> fast_path_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, TrafficTest, testing::Bool(),
                         [](const auto& kind) { return std::string(kind.param ? "Tcx" : "Clsact"); });

TEST_P(TrafficTest, UdpBothWays) {
  const auto far = server(SOCK_DGRAM, 7);
  const auto near = client(SOCK_DGRAM, 7);
  for (const std::size_t size : {1U, 100U, 1444U}) {
    const auto sent = counting(size);
    ASSERT_EQ(send(near.get(), sent.data(), size, 0), static_cast<ssize_t>(size));
    Bytes got(2000);
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    const auto arrived = recvfrom(far.get(), got.data(), got.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    ASSERT_EQ(arrived, static_cast<ssize_t>(size));
    EXPECT_TRUE(std::equal(sent.begin(), sent.end(), got.begin()));
    EXPECT_EQ(std::memcmp(&reinterpret_cast<sockaddr_in6&>(from).sin6_addr, address6(kClat6).data(), 16), 0);
    ASSERT_EQ(sendto(far.get(), got.data(), size, 0, reinterpret_cast<sockaddr*>(&from), length), arrived);
    Bytes back(2000);
    ASSERT_EQ(recv(near.get(), back.data(), back.size(), 0), arrived);
    EXPECT_TRUE(std::equal(sent.begin(), sent.end(), back.begin()));
  }
  EXPECT_EQ(count("fast_to_ipv6_udp_packets"), 3U);
  EXPECT_EQ(count("fast_to_ipv4_udp_packets"), 3U);
  EXPECT_EQ(count("fast_to_ipv6_udp_bytes"), 3U * 28 + 1545);
  EXPECT_EQ(count("fast_to_ipv4_udp_bytes"), 3U * 48 + 1545);
}

TEST_P(TrafficTest, TcpBothWays) {
  constexpr std::size_t kTotal = 20'000'000;
  const auto far = server(SOCK_STREAM, 7);
  std::thread echo([&] {
    const Fd connection(accept(far.get(), nullptr, nullptr));
    Bytes chunk(100'000);
    for (ssize_t size; (size = recv(connection.get(), chunk.data(), chunk.size(), 0)) > 0;) {
      if (send(connection.get(), chunk.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) != size) return;
    }
  });
  const auto near = client(SOCK_STREAM, 7);
  const auto pattern = counting(65'537);  // no multiple of any segment's size
  std::thread sender([&] {
    for (std::size_t done = 0; done < kTotal; done += pattern.size()) {
      if (send(near.get(), pattern.data(), pattern.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(pattern.size()))
        return;
    }
    shutdown(near.get(), SHUT_WR);
  });
  std::size_t received = 0;
  Bytes chunk(100'000);
  for (ssize_t size; (size = recv(near.get(), chunk.data(), chunk.size(), 0)) > 0;) {
    for (ssize_t i = 0; i < size; ++i, ++received) {
      ASSERT_EQ(chunk[static_cast<std::size_t>(i)], pattern[received % pattern.size()]) << "at byte " << received;
    }
  }
  sender.join();
  echo.join();
  EXPECT_EQ(received, (kTotal / pattern.size() + 1) * pattern.size());
  EXPECT_GT(count("fast_to_ipv6_tcp_bytes"), kTotal);
  EXPECT_GT(count("fast_to_ipv4_tcp_bytes"), kTotal);
  // GSO packets count their segments.
  EXPECT_GT(count("fast_to_ipv6_tcp_packets"), kTotal / 1460);
}

TEST_P(TrafficTest, AClosedPortAnswers) {
  const auto near = socket_of(AF_INET, SOCK_STREAM);
  EXPECT_EQ(with(address(kServer4, 9), [&](auto... a) { return connect(near.get(), a...); }), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
}

TEST_P(TrafficTest, MarkChoosesTheRoute) {
  // Only marked packets find the way to the peer.
  shell(std::string("ip -6 route del default via ") + kNative6 + " dev " + kUplink);
  shell(std::string("ip -6 route add default via ") + kNative6 + " dev " + kUplink + " table 77");
  shell("ip -6 rule add fwmark 0x4d table 77");
  const auto far = server(SOCK_DGRAM, 7);
  const auto near = client(SOCK_DGRAM, 7);
  auto marked = attachment();
  marked.mark = 0x4d;
  ASSERT_TRUE(fast_path_->update(marked).has_value());
  Bytes got(100);
  ASSERT_EQ(send(near.get(), "b", 1, 0), 1);
  ASSERT_EQ(recv(far.get(), got.data(), got.size(), 0), 1);
  EXPECT_EQ(got[0], 'b');
}

// One iperf3 client run; bits per second as received.
double iperf(const Lab& lab, const std::string& listen_at, const std::string& connect_to, const char* more) {
  FILE* server = nullptr;
  lab.on_peer([&] { server = popen(("exec timeout 30 iperf3 -s -1 --forceflush -B " + listen_at).c_str(), "re"); });
  char line[256];
  while (std::fgets(line, sizeof(line), server) != nullptr && std::strstr(line, "listening") == nullptr) {
  }
  const auto report = output_of("timeout 20 iperf3 -J -t 2 -c " + connect_to + " " + more);
  while (std::fgets(line, sizeof(line), server) != nullptr) {
  }
  pclose(server);
  const auto sum = report.find("\"sum_received\"");
  const auto rate = report.find("\"bits_per_second\":", sum);
  if (sum == std::string::npos || rate == std::string::npos) throw std::runtime_error(report);
  return std::stod(report.substr(rate + std::strlen("\"bits_per_second\":")));
}

TEST_P(TrafficTest, ThroughputBesideNativeIpv6) {
  for (const char* direction : {"", "-R"}) {
    const auto native = iperf(lab_, kNative6, kNative6, direction);
    const auto clat = iperf(lab_, kServer6, kServer4, direction);
    std::printf("%s: native %.1f Gbit/s, fast path %.1f Gbit/s, ratio %.2f\n", *direction == 0 ? "up" : "down",
                native / 1e9, clat / 1e9, clat / native);
    EXPECT_GT(clat, 0);
  }
  EXPECT_EQ(count("punt_to_ipv6_too_big"), 0U);
  EXPECT_EQ(count("punt_to_ipv4_too_big"), 0U);
}

// A raw-IP uplink: the test plays the modem.
TEST(RawIpTest, UdpBothWays) {
  BpfFolder folder;
  const Lab lab;
  const auto modem = make_tun("modem0");
  shell("ip -6 route add default dev modem0");
  shell(std::string("ip addr add 192.0.0.4/32 dev ") + kTun);
  shell(std::string("ip route add default dev ") + kTun);
  auto opened = BothParts::open(folder.bpf_dir());
  ASSERT_TRUE(opened);
  auto wanted = lab.attachment();
  wanted.uplink = "modem0";
  wanted.uplink_ifindex = ifindex_of("modem0");
  wanted.layer = LinkLayer::raw_ip;
  ASSERT_TRUE(opened->attach(wanted).has_value());
  ASSERT_TRUE(opened->verify(wanted).has_value());

  const auto near = socket_of(AF_INET, SOCK_DGRAM);
  ASSERT_EQ(with(address("192.0.0.4", 40000), [&](auto... a) { return bind(near.get(), a...); }), 0);
  ASSERT_EQ(with(address("192.0.2.33", 53), [&](auto... a) { return connect(near.get(), a...); }), 0);
  ASSERT_EQ(send(near.get(), "up", 2, 0), 2);
  const auto up = read_tun(modem.get(), 5000);
  ASSERT_TRUE(up);
  const auto expected = packet(Ip6{.source = wanted.v6.text(), .destination = "64:ff9b::c000:221", .hop_limit = 63},
                               udp({'u', 'p'}, (up->vnet.flags & 1) != 0 ? Sum::partial : Sum::right));
  EXPECT_EQ(hex(up->bytes), hex(expected));

  const auto down = packet(Ip6{.source = "64:ff9b::c000:221", .destination = wanted.v6.text()},
                           udp({'d', 'o', 'w', 'n'}, Sum::right, {53, 40000}));
  ASSERT_EQ(write_tun(modem.get(), {{}, down}), 0);
  Bytes got(100);
  ASSERT_EQ(recv(near.get(), got.data(), got.size(), 0), 4);
  EXPECT_EQ(got[0], 'd');

  const auto expiring = packet(Ip6{.source = "64:ff9b::c000:221", .destination = wanted.v6.text(), .hop_limit = 1},
                               icmp6(128, 0, 1, counting(8)));
  ASSERT_EQ(write_tun(modem.get(), {{}, expiring}), 0);
  const auto steered = read_tun(lab.tun_fd(), 5000);
  ASSERT_TRUE(steered);
  EXPECT_EQ(hex(steered->bytes), hex(expiring));

  // What clatd writes leaves it too.
  const auto written =
      packet(Ip6{.source = wanted.v6.text(), .destination = "64:ff9b::c000:221"}, icmp6(129, 0, 1, counting(8)));
  ASSERT_EQ(write_tun(lab.tun_fd(), {{}, written}), 0);
  const auto left = read_tun(modem.get(), 5000);
  ASSERT_TRUE(left);
  EXPECT_EQ(hex(left->bytes), hex(written));
}

}  // namespace
}  // namespace clat::test
