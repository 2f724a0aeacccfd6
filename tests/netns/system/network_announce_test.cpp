// The announcement of the CLAT address on both legs, in the kernel, seen from the link's other end.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "namespace_fixture.hpp"
#include "supervisor/system/network.hpp"

namespace clat::system {
namespace {

using test::ok;
using test::run;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A process with a network namespace of its own.
class OtherHost {
 public:
  OtherHost() {
    std::array<int, 2> ready{};
    if (::pipe(ready.data()) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      const char result = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      if (::write(ready[1], &result, 1) == 1) ::pause();
      ::_exit(0);
    }
    char result = 0;
    if (::read(ready[0], &result, 1) != 1 || result != 'y') ADD_FAILURE() << "no second namespace";
    ::close(ready[0]);
    ::close(ready[1]);
  }
  OtherHost(const OtherHost&) = delete;
  OtherHost& operator=(const OtherHost&) = delete;
  ~OtherHost() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] std::string pid() const { return std::to_string(pid_); }
  std::string run(const std::string& command) const {
    return test::run("nsenter --net=/proc/" + pid() + "/ns/net sh -c '" + command + "'");
  }

 private:
  pid_t pid_ = -1;
};

class AnnounceTest : public test::TunOfUp0Test {
 protected:
  void SetUp() override {
    TunOfUp0Test::SetUp();
    ASSERT_TRUE(ok(network().make(setup(tun_))));
  }
  model::AnnounceSpec fast() const { return announce(tun_, model::Leg::fast); }
  model::AnnounceSpec routed() const { return announce(tun_, model::Leg::routed); }
  static void forward() { run("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"); }

  // The length of the next IPv6 packet for the CLAT address that comes out of the tun, 0 after five seconds.
  std::size_t packet_from_tun() {
    const int fd = tun_fd();
    std::array<std::uint8_t, 70'000> buffer;
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    while (::poll(&waiting, 1, 5000) == 1) {
      const ssize_t size = ::read(fd, buffer.data(), buffer.size());
      constexpr ssize_t kVnet = 10;
      if (size < kVnet + 40 || buffer[kVnet] >> 4 != 6) continue;
      if (std::equal(v6.bytes.begin(), v6.bytes.end(), buffer.begin() + kVnet + 24)) {
        return static_cast<std::size_t>(size - kVnet);
      }
    }
    return 0;
  }
};

TEST_F(AnnounceTest, FastLegIsAProxyEntryThatJoinsTheGroup) {
  const std::string before = snapshot();
  EXPECT_EQ(verify(fast()).error().what, "no proxy neighbour 2001:db8::c1a7 on up0");
  ASSERT_TRUE(ok(network().make(fast())));
  ASSERT_TRUE(ok(network().make(fast())));
  EXPECT_TRUE(ok(verify(fast())));
  EXPECT_TRUE(has(run("ip -6 neighbour show proxy"), "2001:db8::c1a7 dev up0 proxy"));
  EXPECT_TRUE(has(run("ip -6 maddress show dev up0"), "ff02::1:ff00:c1a7"));
  ASSERT_TRUE(ok(network().remove(fast())));
  ASSERT_TRUE(ok(network().remove(fast())));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(AnnounceTest, TheEntrySurvivesALossOfCarrier) {
  ASSERT_TRUE(ok(network().make(fast())));
  auto monitor = sources::NetlinkMonitor::open();
  ASSERT_TRUE(ok(monitor));
  run("ip link set peer0 down");
  test::await_link_state(*monitor, "up0", "LOWERLAYERDOWN");
  EXPECT_TRUE(ok(verify(fast())));
}

TEST_F(AnnounceTest, AnEntryOfOthersServesAndStays) {
  run("ip -6 neighbour add proxy 2001:db8::c1a7 dev up0");
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().make(fast())));
  EXPECT_TRUE(ok(verify(fast())));
  ASSERT_TRUE(ok(network().remove(fast())));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(AnnounceTest, RoutedLegNeedsForwardingAndLeavesNothingWithoutIt) {
  const std::string before = snapshot();
  const auto made = network().make(routed());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(),
            (Error{"announce 2001:db8::c1a7 on up0: the routed leg needs net.ipv6.conf.all.forwarding=1", EPERM}));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(AnnounceTest, RoutedLegNeedsATunWithIpv6) {
  forward();
  ASSERT_TRUE(ok(network().change(setup(tun_), setup(tun_, 1252))));
  const std::string before = snapshot();
  const auto made = network().make(routed());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().what,
            "announce 2001:db8::c1a7 on up0: the routed leg needs a tun of MTU 1280 or more, v4-up0 has 1252");
  EXPECT_EQ(snapshot(), before);
}

TEST_F(AnnounceTest, RoutedLegSetsAndRestores) {
  forward();
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().make(routed())));
  ASSERT_TRUE(ok(network().make(routed())));
  EXPECT_TRUE(ok(verify(routed())));
  EXPECT_EQ(run("ip -6 route show proto 46"), "2001:db8::c1a7 dev v4-up0 metric 512 mtu lock 65520 pref medium\n");
  EXPECT_EQ(run("cat /proc/sys/net/ipv6/conf/all/proxy_ndp /proc/sys/net/ipv6/neigh/up0/proxy_delay"), "1\n0\n");
  ASSERT_TRUE(ok(network().remove(routed())));
  ASSERT_TRUE(ok(network().remove(routed())));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(AnnounceTest, RoutedLegRestoresUnderAnotherName) {
  forward();
  ASSERT_TRUE(ok(network().make(routed())));
  run("ip link set up0 down && ip link set up0 name other0");
  die();
  start();
  ASSERT_TRUE(ok(network().remove(routed())));
  EXPECT_EQ(run("cat /proc/sys/net/ipv6/neigh/other0/proxy_delay"), "80\n");
}

TEST_F(AnnounceTest, RoutedLegVerifiesEachPart) {
  forward();
  ASSERT_TRUE(ok(network().make(routed())));
  const auto said_after = [&](const std::string& damage) {
    EXPECT_TRUE(ok(network().make(routed())));
    EXPECT_TRUE(ok(verify(routed())));
    run(damage);
    const auto verified = verify(routed());
    return verified ? "nothing" : verified.error().what;
  };
  EXPECT_EQ(said_after("ip -6 route delete 2001:db8::c1a7"), "no route to 2001:db8::c1a7 into the tun");
  EXPECT_EQ(said_after("ip -6 neighbour delete proxy 2001:db8::c1a7 dev up0"),
            "no proxy neighbour 2001:db8::c1a7 on up0");
  EXPECT_EQ(said_after("echo 0 > /proc/sys/net/ipv6/conf/all/proxy_ndp"), "net/ipv6/conf/all/proxy_ndp is 0, not 1");
  EXPECT_EQ(said_after("echo 80 > /proc/sys/net/ipv6/neigh/up0/proxy_delay"),
            "net/ipv6/neigh/up0/proxy_delay is 80, not 0");
  EXPECT_EQ(said_after("echo 2 > /proc/sys/net/ipv6/conf/all/forwarding"), "nothing") << "any value but 0 is on";
  EXPECT_EQ(said_after("echo 0 > /proc/sys/net/ipv6/conf/all/forwarding"), "net/ipv6/conf/all/forwarding is 0");
}

TEST_F(AnnounceTest, ARouteOfOthersIsLeftAlone) {
  forward();
  run("ip -6 route add 2001:db8::c1a7 dev peer0 metric 512");
  const std::string before = snapshot();
  EXPECT_EQ(network().make(routed()).error().code, EEXIST);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(AnnounceTest, LegsChangeWithoutWithdrawing) {
  forward();
  ASSERT_TRUE(ok(network().make(model::GuardSpec{v6})));
  ASSERT_TRUE(ok(network().make(fast())));
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().change(fast(), routed())));
  EXPECT_TRUE(ok(verify(routed())));
  ASSERT_TRUE(ok(network().change(routed(), fast())));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(AnnounceTest, AnotherAddressReplacesTheFirst) {
  forward();
  for (const auto& first : {fast(), routed()}) {
    const std::string before = snapshot();
    auto second = first;
    second.v6 = *Ipv6Address::parse("2001:db8::c1a8");
    ASSERT_TRUE(ok(network().make(first)));
    ASSERT_TRUE(ok(network().change(first, second)));
    EXPECT_TRUE(ok(verify(second)));
    EXPECT_FALSE(verify(first));
    ASSERT_TRUE(ok(network().remove(second)));
    EXPECT_EQ(snapshot(), before);
  }
}

TEST_F(AnnounceTest, TwoUplinksShareWhatIsSystemWide) {
  forward();
  run("ip -6 neighbour flush all; ip link set peer0 name up1");
  const auto second_tun = network().make("up1", model::TunSpec{.name = "v4-up1"});
  ASSERT_TRUE(ok(second_tun));
  const model::SetupSpec second_setup{
      .tun = *second_tun, .tun_name = "v4-up1", .uplink = "up1", .v4 = *Ipv4Address::parse("192.0.0.5"), .mtu = 1472};
  ASSERT_TRUE(ok(network().make(second_setup)));
  const model::AnnounceSpec second{.uplink = "up1",
                                   .uplink_ifindex = ifindex("up1"),
                                   .tun = *second_tun,
                                   .v6 = *Ipv6Address::parse("2001:db8:1::c1a7"),
                                   .leg = model::Leg::routed};
  ASSERT_TRUE(ok(network().make(routed())));
  ASSERT_TRUE(ok(network().make(second)));
  ASSERT_TRUE(ok(network().remove(routed())));
  EXPECT_TRUE(ok(verify(second)));
  ASSERT_TRUE(ok(network().remove(second)));
  EXPECT_EQ(run("cat /proc/sys/net/ipv6/conf/all/proxy_ndp"), "0\n");
}

TEST_F(AnnounceTest, OnTheRoutedLegFullPacketsOfTheUplinkReachTheTun) {
  forward();
  const OtherHost plat;
  run("ip link set peer0 netns " + plat.pid());
  plat.run("ip link set lo up; ip link set peer0 up; ip address add 2001:db8::2/64 dev peer0 nodad");
  ASSERT_TRUE(ok(network().make(routed())));
  // 1500 bytes, more than the tun's MTU of 1472: IPv4 has shorter headers.
  plat.run("ping -6 -c 1 -W 1 -M do -s 1452 2001:db8::c1a7 || true");
  EXPECT_EQ(packet_from_tun(), 1500u);
  // Nobody translates here; what counts is that the kernel answered for the address.
  EXPECT_TRUE(has(plat.run("ip -6 neighbour show 2001:db8::c1a7"), "lladdr"));
}

TEST_F(AnnounceTest, BehindTheGuardTheKernelIsSilent) {
  forward();
  const OtherHost plat;
  run("ip link set peer0 netns " + plat.pid());
  plat.run("ip link set lo up; ip link set peer0 up; ip address add 2001:db8::2/64 dev peer0 nodad");
  const auto uplink = RtNetlink::open()->link("up0");
  ASSERT_TRUE(ok(uplink));
  plat.run("ip -6 neighbour replace 2001:db8::c1a7 dev peer0 nud permanent lladdr " + (*uplink)->link.mac.text());
  ASSERT_TRUE(ok(network().make(model::GuardSpec{v6})));
  ASSERT_TRUE(ok(network().make(fast())));
  const std::string answer = plat.run("ping -6 -c 1 -W 1 2001:db8::c1a7 || true");
  EXPECT_TRUE(has(answer, "1 packets transmitted, 0 received")) << answer;
  EXPECT_FALSE(has(answer, "nreachable")) << answer;
}

}  // namespace
}  // namespace clat::system
