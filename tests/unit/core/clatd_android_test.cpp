// clatd as Android starts it, in a network namespace of the test's own: a veth pair, up0 the uplink and peer0 its other
// end, where frames are sent and looked at.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "clatd_fixture.hpp"
#include "tests/support/vector_parts.hpp"

namespace clat::clatd {
namespace {

using test::Bytes;
using clatd::operator+;
using test::operator+;
using xlat::Verdict;
using xlat::VnetHeader;

const Bytes kToUplink{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, kIpv6Type{0x86, 0xdd};
constexpr std::size_t kEthernet = 14;
const Bytes kIpv4Info{0, 0, 8, 0};  // struct tun_pi

template <class Value>
void set_option(const Fd& fd, int level, int option, const Value& value) {
  if (setsockopt(fd.get(), level, option, &value, sizeof value) != 0) throw std::runtime_error("setsockopt");
}

Fd packet_socket(const char* interface) {
  Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_IPV6)));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IPV6);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("bind");
  }
  return fd;
}

class Android : public ClatdProcess {
 protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    run("ip link set lo up");
    run("ip link add up0 address 02:00:00:00:00:01 mtu 1600 type veth peer name peer0 address 02:00:00:00:00:02 mtu "
        "1600");
    run("sysctl -qw net.ipv6.conf.peer0.disable_ipv6=1 net.ipv6.conf.default.forwarding=0");
    run("ip link set peer0 up && ip link set up0 up");
    run("ip address add 2001:db9:1:2::1/64 dev up0 nodad");
    run("ip neighbour add fe80::2 lladdr 02:00:00:00:00:02 dev up0 nud permanent");
    inject_ = packet_socket("peer0");
    set_option(inject_, SOL_PACKET, PACKET_VNET_HDR, 1);
    capture_ = packet_socket("peer0");
  }
  static void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
  }
  static Words usual() {
    const auto& scene = test::neutral();
    return {"clatd-up0", "-i", "up0", "-p", scene.prefix, "-4", scene.v4, "-6", scene.v6, "-t", "3"};
  }

  void inject(const Bytes& frame, VnetHeader vnet = {}) const {
    Bytes bytes(sizeof vnet);
    std::memcpy(bytes.data(), &vnet, sizeof vnet);
    bytes = bytes + frame;
    ASSERT_EQ(write(inject_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  static Bytes frame(const Bytes& packet) { return kToUplink + kIpv6Type + packet; }

  // The next IPv6 packet of the CLAT's on the uplink; what the kernel itself says there is left out.
  [[nodiscard]] Bytes captured() const {
    const auto clat = test::address6(test::neutral().v6);
    while (readable(capture_)) {
      Bytes bytes(70000);
      const auto got = read(capture_.get(), bytes.data(), bytes.size());
      if (got < static_cast<ssize_t>(kEthernet) + 40) continue;
      bytes.resize(static_cast<std::size_t>(got));
      bytes.erase(bytes.begin(), bytes.begin() + kEthernet);
      if (std::equal(clat.begin(), clat.end(), bytes.begin() + 8)) return bytes;
    }
    return {};
  }

  Fd inject_, capture_;
};

// What the kernel wrote to the tun, checked for its struct tun_pi.
Bytes ipv4_of(const Bytes& read) {
  EXPECT_GT(read.size(), kIpv4Info.size());
  if (read.size() <= kIpv4Info.size()) return {};
  const auto packet = read.begin() + static_cast<std::ptrdiff_t>(kIpv4Info.size());
  EXPECT_EQ(Bytes(read.begin(), packet), kIpv4Info);
  return {packet, read.end()};
}

// With a socket pair for the tun.
class AndroidToday : public Android {
 protected:
  void SetUp() override {
    Android::SetUp();
    run("ip -6 route add default via fe80::2 dev up0");
    // As ClatCoordinator makes them; without its filter, so that clatd sees strangers' packets, too.
    auto packet = packet_socket("up0");
    set_option(packet, SOL_PACKET, PACKET_AUXDATA, 1);
    set_option(packet, SOL_PACKET, PACKET_VNET_HDR, 1);
    give(std::move(packet), 5);
    give(Fd(::socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW)), 6);
    start_and_wait_until_ready(usual() + Words{"-r", "5", "-w", "6", "--control-fd", "4"});
  }
  void put_ipv4(const Bytes& packet) const {
    const auto bytes = kIpv4Info + packet;
    ASSERT_EQ(write(tun_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  [[nodiscard]] std::uint64_t strangers() const {
    const auto report = ask();
    return report ? report->verdicts[static_cast<std::size_t>(Verdict::not_to_clat)] : 0;
  }
};

// A stand-in for a packet socket puts no vnet header in front.
TEST_F(Android, CountsAsTruncatedWhatNoPacketSocketWouldGive) {
  const auto packet = give_pair(5), raw = give_pair(6);
  start_and_wait_until_ready(usual() + Words{"-r", "5", "-w", "6", "--control-fd", "4"});
  const Bytes inputs[]{{1, 2, 3}, Bytes(sizeof(VnetHeader)), Bytes(1500)};
  for (const auto& input : inputs) {
    ASSERT_EQ(write(packet.get(), input.data(), input.size()), static_cast<ssize_t>(input.size()));
  }
  const auto truncated = [](const control::Report& report) {
    return report.verdicts[static_cast<std::size_t>(Verdict::truncated)];
  };
  EXPECT_EQ(truncated(ask_until([&](const auto& report) { return truncated(report) == std::size(inputs); })), 3U);
}

TEST_F(AndroidToday, TranslatesBothWays) {
  const auto& out = vector_named("A1_version_6_and_flow_label_0");
  put_ipv4(out.input);
  EXPECT_EQ(test::mismatch(out, captured()), "");
  const auto& in = vector_named("G1_ihl_5_and_total_length");
  inject(frame(in.input));
  EXPECT_EQ(test::mismatch(in, ipv4_of(take())), "");
}

TEST_F(AndroidToday, DropsToNobodyWhenNobodySaysToWhom) {
  EXPECT_EQ(status_field("/proc/" + std::to_string(pid()), "Uid"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(status_field("/proc/" + std::to_string(pid()), "Gid"), "65534\t65534\t65534\t65534");
}

TEST_F(AndroidToday, CutsSuperPacketsForATunThatTakesNone) {
  const auto payload = test::counting(2500);
  const auto super = test::packet(test::in6(test::neutral()), test::tcp(payload, test::Sum::partial));
  inject(frame(super), {.flags = VnetHeader::kNeedsChecksum,
                        .gso_type = VnetHeader::kGsoTcp6,
                        .header_length = kEthernet + 40 + 20,
                        .gso_size = 1000,
                        .checksum_start = kEthernet + 40,
                        .checksum_offset = 16});
  Bytes got;
  for (const std::size_t size : {1000U, 1000U, 500U}) {
    const auto packet = ipv4_of(take());
    ASSERT_EQ(packet.size(), 40 + size);
    EXPECT_EQ(test::checksum_fault(packet), "");
    got.insert(got.end(), packet.begin() + 40, packet.end());
  }
  EXPECT_EQ(got, payload);
}

TEST_F(AndroidToday, FinishesChecksums) {
  const auto udp = test::packet(test::in6(test::neutral()), test::udp(test::counting(99), test::Sum::partial));
  inject(frame(udp), {.flags = VnetHeader::kNeedsChecksum, .checksum_start = kEthernet + 40, .checksum_offset = 6});
  const auto packet = ipv4_of(take());
  EXPECT_EQ(packet.size(), 28U + 99);
  EXPECT_EQ(test::checksum_fault(packet), "");
}

TEST_F(AndroidToday, LeavesOtherVlansAndOtherHostsPacketsAlone) {
  const auto& in = vector_named("G1_ihl_5_and_total_length");
  inject(kToUplink + Bytes{0x81, 0x00, 0x00, 0x05} + kIpv6Type + in.input);
  inject(Bytes{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2} + kIpv6Type + in.input);
  ask_until([this](const auto&) { return strangers() >= 2; });
  // VLAN 0 is a priority, and no VLAN.
  inject(kToUplink + Bytes{0x81, 0x00, 0xe0, 0x00} + kIpv6Type + in.input);
  EXPECT_EQ(test::mismatch(in, ipv4_of(take())), "");
  EXPECT_EQ(ask()->to_ipv4.packets, 1U);
}

TEST_F(AndroidToday, AnswersOnTheSideThatAsked) {
  auto expiring4 = test::out4(test::neutral());
  expiring4.ttl = 1;
  put_ipv4(test::packet(expiring4, test::udp(test::counting(9))));
  EXPECT_EQ(ipv4_of(take()).at(20), 11);
  auto expiring6 = test::in6(test::neutral());
  expiring6.hop_limit = 1;
  inject(frame(test::packet(expiring6, test::udp(test::counting(9)))));
  EXPECT_EQ(captured().at(40), 3);
}

// up0's MTU, since nobody said another.
TEST_F(AndroidToday, TakesTheUplinksMtu) {
  auto header = test::out4(test::neutral());
  header.df = true;
  put_ipv4(test::packet(header, test::udp(test::counting(1600 - 20 - 28))));
  EXPECT_EQ(captured().size(), 1600U);
  put_ipv4(test::packet(header, test::udp(test::counting(1601 - 20 - 28))));
  const auto answer = ipv4_of(take());
  EXPECT_EQ(answer.at(26) << 8 | answer.at(27), 1580);
}

TEST_F(AndroidToday, OutlivesAnUplinkThatIsDownForAWhile) {
  run("ip link set up0 down");
  ASSERT_TRUE(ask()) << output();
  run("ip link set up0 up && ip -6 route replace default via fe80::2 dev up0");
  // The link takes frames a little after it is up.
  const auto& in = vector_named("G1_ihl_5_and_total_length");
  pollfd wait{tun_.get(), POLLIN, 0};
  for (int n = 0; n < 2000 && poll(&wait, 1, 10) == 0; ++n) inject(frame(in.input));
  EXPECT_EQ(test::mismatch(in, ipv4_of(take())), "");
}

TEST_F(AndroidToday, CountsWhatTheUplinkDoesNotTake) {
  run("ip -6 route delete default");
  put_ipv4(vector_named("A1_version_6_and_flow_label_0").input);
  const auto report = ask_until([](const auto& r) { return r.write_errors != 0; });
  EXPECT_EQ(report.write_errors, 1U);
  EXPECT_EQ(report.to_ipv6.packets, 1U);
}

// With a real tun, nothing handed over but that, and no supervisor of ours.
class Android2019 : public Android {
 protected:
  void SetUp() override {
    Android::SetUp();
    // Only packets with the mark find a way.
    run("ip -6 rule add fwmark 0xf0064 lookup 100 && ip -6 route add default via fe80::2 dev up0 table 100");
    Fd tun(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    ifreq request{};
    std::strcpy(request.ifr_name, "v4-up0");
    request.ifr_flags = IFF_TUN;
    ASSERT_EQ(ioctl(tun.get(), TUNSETIFF, &request), 0);
    run("sysctl -qw net.ipv6.conf.v4-up0.addr_gen_mode=1");
    give(std::move(tun), 3);
    // The last of those given for a number counts: 4 is not clatd's.
    start(usual() + Words{"-n", "100", "-m", "0xf0064"});
    ASSERT_EQ(line(), "clatd: uplink up0, network id 100, mark 0xf0064") << output();
  }
  static std::string file(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  [[nodiscard]] std::string status(const std::string& field) const {
    return status_field("/proc/" + std::to_string(pid()), field);
  }
};

TEST_F(Android2019, ConfiguresTheTunAndTranslatesWithTheMark) {
  run("ip address show v4-up0 | grep -q 'inet 192.0.0.4/32'");
  run("ip link show up v4-up0 | grep -q 'mtu 1572 '");
  run("ip route add default dev v4-up0");
  const auto& scene = test::neutral();
  const Fd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(53);
  ASSERT_EQ(inet_pton(AF_INET, scene.peer4.c_str(), &peer.sin_addr), 1);
  ASSERT_EQ(connect(udp.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer), 0);
  // Until it reads packets, it drops them.
  Bytes out;
  for (int n = 0; n < 2000 && out.empty(); ++n) {
    ASSERT_EQ(::send(udp.get(), "question", 8, 0), 8);
    pollfd wait{capture_.get(), POLLIN, 0};
    if (poll(&wait, 1, 10) == 1) out = captured();
  }
  ASSERT_EQ(out.size(), 40U + 8 + 8);
  EXPECT_EQ(test::checksum_fault(out), "");

  const auto port = static_cast<std::uint16_t>(out.at(40) << 8 | out.at(41));
  const Bytes answer{'a', 'n', 's', 'w', 'e', 'r'};
  inject(
      frame(test::packet(test::in6(scene), test::udp(answer, test::Sum::right, {.source = 53, .destination = port}))));
  Bytes got(100);
  ASSERT_TRUE(readable(udp));
  got.resize(static_cast<std::size_t>(read(udp.get(), got.data(), got.size())));
  EXPECT_EQ(got, answer);
}

TEST_F(Android2019, HoldsItsAddressAndNothingElse) {
  // Whoever waits for the filter waits for all that is done before.
  while (status(kSanitized ? "NoNewPrivs" : "Seccomp") == "0") sched_yield();
  EXPECT_NE(file("/proc/" + std::to_string(pid()) + "/net/anycast6").find("20010db900010002aaaae79b00010000"),
            std::string::npos);
  EXPECT_EQ(status("Uid"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(status("CapEff"), "0000000000000000");
  EXPECT_EQ(status("CapBnd"), "0000000000000000");
  EXPECT_EQ(status("Groups"), "");
  std::set<std::string> kinds;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid()) + "/fd")) {
    if (std::stoi(entry.path().filename()) < 3) continue;
    const auto target = std::filesystem::read_symlink(entry.path()).string();
    kinds.insert(target.substr(0, target.find(':')));
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"/dev/net/tun", "socket"}));
  signal(SIGTERM);
  EXPECT_EQ(finish(), 0);
}

TEST_F(Android2019, EndsWithItsTun) {
  run("ip link delete v4-up0");
  EXPECT_EQ(finish(), 71);
}

}  // namespace
}  // namespace clat::clatd
