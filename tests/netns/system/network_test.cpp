// Setup of the tun, the guard and the default route, in the kernel.
#include "supervisor/system/network.hpp"

#include <sched.h>

#include <cerrno>

#include "namespace_fixture.hpp"

namespace clat::system {
namespace {

using test::ok;
using test::run;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class NetworkTest : public test::TunOfUp0Test {};

// --- setup

TEST_F(NetworkTest, SetupGivesTheTunWhatItNeeds) {
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  const std::string device = run("ip -d link show v4-up0; ip address show v4-up0");
  EXPECT_TRUE(has(device, "UP,LOWER_UP")) << device;
  EXPECT_TRUE(has(device, "mtu 1472")) << device;
  EXPECT_TRUE(has(device, "inet 192.0.0.4/32 scope global v4-up0")) << device;
  EXPECT_TRUE(has(device, "addrgenmode none")) << device;
  EXPECT_TRUE(has(device, "alias clatvisor CLAT of up0")) << device;
  EXPECT_FALSE(has(device, "inet6")) << device;
  EXPECT_EQ(run("cat /proc/sys/net/ipv4/conf/v4-up0/rp_filter"), "2\n");
  EXPECT_TRUE(ok(verify(setup(tun_))));
}

TEST_F(NetworkTest, SetupTwiceIsOnce) {
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(NetworkTest, SetupBelowTheMinimumMtuHasNoIpv6AndGrowsWithoutAddresses) {
  ASSERT_TRUE(ok(network().make(setup(tun_, 1252))));
  EXPECT_TRUE(ok(verify(setup(tun_, 1252))));
  ASSERT_TRUE(ok(network().change(setup(tun_, 1252), setup(tun_, 1472))));
  const std::string device = run("ip -d link show v4-up0; ip address show v4-up0");
  EXPECT_TRUE(has(device, "mtu 1472")) << device;
  EXPECT_TRUE(has(device, "addrgenmode none")) << device;
  EXPECT_FALSE(has(device, "inet6")) << device;
}

TEST_F(NetworkTest, SetupChangesMtuInPlace) {
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  ASSERT_TRUE(ok(network().make(model::RouteSpec{.tun = tun_, .v4 = v4, .metric = 2048})));
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().change(setup(tun_), setup(tun_, 1400))));
  EXPECT_TRUE(has(run("ip link show v4-up0"), "mtu 1400"));
  ASSERT_TRUE(ok(network().change(setup(tun_, 1400), setup(tun_))));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(NetworkTest, SetupChangesTheAddress) {
  auto other = setup(tun_);
  other.v4 = *Ipv4Address::parse("192.0.0.5");
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  ASSERT_TRUE(ok(network().change(setup(tun_), other)));
  const std::string device = run("ip address show v4-up0");
  EXPECT_TRUE(has(device, "192.0.0.5/32")) << device;
  EXPECT_FALSE(has(device, "192.0.0.4")) << device;
}

TEST_F(NetworkTest, SetupVerifiesMtuAddressAndState) {
  const auto said = [&] { return verify(setup(tun_)).error().what; };
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  run("ip link set v4-up0 mtu 1400");
  EXPECT_EQ(said(), "v4-up0 has MTU 1400, not 1472");
  run("ip link set v4-up0 mtu 1472; ip address delete 192.0.0.4/32 dev v4-up0");
  EXPECT_EQ(said(), "v4-up0 has lost 192.0.0.4");
  run("ip address add 192.0.0.4/32 dev v4-up0; ip link set v4-up0 down");
  EXPECT_EQ(said(), "v4-up0 is down");
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  EXPECT_TRUE(ok(verify(setup(tun_))));
  run("ip link delete v4-up0");
  EXPECT_EQ(said(), "v4-up0 is gone");
  EXPECT_EQ(network().make(setup(tun_)).error().text(), "v4-up0: device is gone: No such device");
  EXPECT_TRUE(ok(network().remove(setup(tun_))));
}

TEST_F(NetworkTest, SetupVerifiesAndMendsWhateverItMade) {
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  const std::string before = snapshot();
  const std::pair<const char*, const char*> cases[] = {
      {"echo 1 > /proc/sys/net/ipv4/conf/v4-up0/rp_filter", "net/ipv4/conf/v4-up0/rp_filter is 1, not 2"},
      {"echo 1 > /proc/sys/net/ipv6/conf/v4-up0/disable_ipv6", "net/ipv6/conf/v4-up0/disable_ipv6 is 1, not 0"},
      {"ip link set v4-up0 addrgenmode random", "net/ipv6/conf/v4-up0/addr_gen_mode is 3, not 1"},
      {"ip link set v4-up0 alias mine", "v4-up0 has the alias \"mine\""},
      {"ip link set v4-up0 gro_max_size 131072", "v4-up0 takes packets of 131072 bytes"}};
  for (const auto& [damage, said] : cases) {
    run(damage);
    const auto verified = verify(setup(tun_));
    ASSERT_FALSE(verified) << damage;
    EXPECT_EQ(verified.error().what, said);
    ASSERT_TRUE(ok(network().make(setup(tun_))));
    EXPECT_TRUE(ok(verify(setup(tun_)))) << damage;
    EXPECT_EQ(snapshot(), before) << damage;
  }
}

TEST_F(NetworkTest, SetupDropsTheAddressesThatAnotherModeGave) {
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  run("ip link set v4-up0 addrgenmode random && ip link set v4-up0 down && ip link set v4-up0 up");
  ASSERT_TRUE(has(run("ip address show v4-up0"), "inet6 fe80::"));
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  EXPECT_FALSE(has(run("ip address show v4-up0"), "inet6"));
}

TEST_F(NetworkTest, SetupGivesTheTunIpv6WhereTheHostsDefaultIsNone) {
  ASSERT_TRUE(ok(network().remove("up0", tun)));
  run("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
  const auto made = network().make("up0", tun);
  ASSERT_TRUE(ok(made));
  ASSERT_TRUE(ok(network().make(setup(*made))));
  EXPECT_FALSE(has(run("ip address show v4-up0"), "inet6"));
  run("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
  EXPECT_TRUE(ok(network().make(announce(*made, model::Leg::routed))));
}

TEST_F(NetworkTest, SetupLimitsOffloads) {
  const auto largest = [] { return (*RtNetlink::open()->link("v4-up0"))->largest_offload; };
  run("ip link set v4-up0 gro_max_size 131072");
  ASSERT_EQ(largest(), 131072u);
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  EXPECT_EQ(largest(), 65536u);
}

TEST_F(NetworkTest, AnErrorCarriesTheKernelsOwnWords) {
  const auto made = network().make(setup(tun_, 100'000));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text(), "v4-up0: change link on ifindex " + std::to_string(tun_) +
                                     ": netlink: mtu greater than device maximum: Invalid argument");
}

// --- guard

TEST_F(NetworkTest, GuardIsABlackhole) {
  const std::string before = snapshot();
  const model::GuardSpec guard{v6};
  EXPECT_EQ(verify(guard).error().what, "no blackhole route for 2001:db8::c1a7");
  ASSERT_TRUE(ok(network().make(guard)));
  ASSERT_TRUE(ok(network().make(guard)));
  EXPECT_TRUE(ok(verify(guard)));
  EXPECT_EQ(run("ip -6 route show type blackhole"),
            "blackhole 2001:db8::c1a7 dev lo proto 46 metric 1024 pref medium\n");
  ASSERT_TRUE(ok(network().remove(guard)));
  ASSERT_TRUE(ok(network().remove(guard)));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(NetworkTest, AGuardOfOthersIsLeftAlone) {
  run("ip -6 route add blackhole 2001:db8::c1a7 proto static");
  const std::string before = snapshot();
  const auto made = network().make(model::GuardSpec{v6});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text(), "add blackhole route 2001:db8::c1a7/128: netlink: File exists");
  EXPECT_TRUE(ok(network().remove(model::GuardSpec{v6})));
  EXPECT_EQ(snapshot(), before);
}

// --- default route

TEST_F(NetworkTest, DefaultRouteComesAndGoes) {
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  const std::string before = snapshot();
  const model::RouteSpec route{.tun = tun_, .v4 = v4, .metric = 2048};
  EXPECT_EQ(verify(route).error().what, "no default route of metric 2048");
  ASSERT_TRUE(ok(network().make(route)));
  ASSERT_TRUE(ok(network().make(route)));
  EXPECT_TRUE(ok(verify(route)));
  EXPECT_EQ(run("ip route show default"), "default dev v4-up0 proto 46 scope link src 192.0.0.4 metric 2048 \n");
  ASSERT_TRUE(ok(network().remove(route)));
  ASSERT_TRUE(ok(network().remove(route)));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(NetworkTest, ADefaultRouteOfOthersIsLeftAlone) {
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  run("ip address add 10.0.0.1/24 dev up0 && ip route add default via 10.0.0.2 metric 2048");
  const std::string before = snapshot();
  const model::RouteSpec route{.tun = tun_, .v4 = v4, .metric = 2048};
  const auto made = network().make(route);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EEXIST);
  EXPECT_TRUE(ok(network().remove(route)));
  EXPECT_EQ(snapshot(), before);
  auto other = route;
  other.metric = 2049;
  EXPECT_TRUE(ok(network().make(other)));
  EXPECT_TRUE(ok(network().remove(other)));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(NetworkTest, ADefaultRouteOfOthersThroughOurTunIsLeftAloneToo) {
  ASSERT_TRUE(ok(network().make(setup(tun_))));
  run("ip route add default dev v4-up0 src 192.0.0.4 metric 2048");
  const std::string before = snapshot();
  const model::RouteSpec route{.tun = tun_, .v4 = v4, .metric = 2048};
  EXPECT_EQ(network().make(route).error().code, EEXIST);
  EXPECT_TRUE(ok(network().remove(route)));
  EXPECT_EQ(snapshot(), before);
}

// --- the way to the NAT64

TEST_F(NetworkTest, TheWayFollowsTheRoutesOfItsDevice) {
  const auto plat = *Ipv6Address::parse("64:ff9b::808:808");
  const int up0 = ifindex("up0");
  EXPECT_EQ(network().way_to({plat, up0}).error().code, ENETUNREACH);
  run("ip -6 route add 64:ff9b::/96 via 2001:db8::fe dev up0 mtu 1400 metric 9");
  run("ip -6 route add 64:ff9b::/96 dev peer0 metric 1");
  const auto way = network().way_to({plat, up0});
  ASSERT_TRUE(ok(way));
  EXPECT_EQ(*way, (model::Route{.next_hop = *Ipv6Address::parse("2001:db8::fe"), .mtu = 1400}));
  const auto on_link = network().way_to({*Ipv6Address::parse("2001:db8::99"), up0});
  ASSERT_TRUE(ok(on_link));
  EXPECT_EQ(*on_link, model::Route{});
}

// As netifd makes them: no default that is for everybody.
TEST_F(NetworkTest, TheWayIsAskedForEachSourceInTurn) {
  const auto plat = *Ipv6Address::parse("64:ff9b::808:808");
  const auto ours = *Ipv6Address::parse("2001:db8:1:2:3::4");
  const int up0 = ifindex("up0");
  run("ip -6 route add default from 2001:db8:1::/48 via fe80::1 dev up0");
  EXPECT_EQ(network().way_to({plat, up0}).error().code, ENETUNREACH);
  EXPECT_EQ(network().way_to({plat, up0, 0, {v6}}).error().code, ENETUNREACH);
  const auto way = network().way_to({plat, up0, 0, {v6, ours}});
  ASSERT_TRUE(ok(way));
  EXPECT_EQ(way->next_hop, Ipv6Address::parse("fe80::1"));
}

TEST_F(NetworkTest, AWayOfThatSourceByAnotherDeviceIsNone) {
  const auto plat = *Ipv6Address::parse("64:ff9b::808:808");
  run("ip -6 route add default via fe80::1 dev peer0");
  EXPECT_EQ(network().way_to({plat, ifindex("up0"), 0, {v6}}).error().code, ENETUNREACH);
  EXPECT_TRUE(ok(network().way_to({plat, ifindex("peer0"), 0, {v6}})));
}

TEST_F(NetworkTest, TheWayFollowsRulesForTheMarkAndForTheSource) {
  const auto plat = *Ipv6Address::parse("64:ff9b::808:808");
  const int up0 = ifindex("up0");
  run("ip -6 route add default via fe80::1 dev up0 table 66 && ip -6 rule add fwmark 0x66 lookup 66");
  EXPECT_FALSE(network().way_to({plat, up0, 0, {v6}}));
  EXPECT_TRUE(ok(network().way_to({plat, up0, 0x66, {v6}})));
  run("ip -6 rule add from 2001:db8::c1a7 lookup 66");
  EXPECT_TRUE(ok(network().way_to({plat, up0, 0, {v6}})));
  run("ip -6 rule add from 2001:db8::c1a7 prohibit pref 1");
  EXPECT_EQ(network().way_to({plat, up0, 0x66, {v6, *Ipv6Address::parse("2001:db8::1")}}).error().code, EACCES);
}

TEST_F(NetworkTest, NativeIpv4IsARouteOfOthersByThatLink) {
  const int up0 = ifindex("up0");
  run("ip address add 198.51.100.2/24 dev up0");
  EXPECT_FALSE(network().has_native_ipv4(up0)) << "an address alone";
  run("ip route add default via 203.0.113.1 dev peer0 onlink metric 5");
  EXPECT_FALSE(network().has_native_ipv4(up0)) << "by another link";
  run("ip route add default via 198.51.100.1 dev up0 metric 700");
  EXPECT_TRUE(network().has_native_ipv4(up0));
  run("ip route del default dev up0 && ip route add default dev up0 metric 700");
  EXPECT_TRUE(network().has_native_ipv4(up0)) << "point to point";
  run("ip route del default dev up0 && ip route add unreachable default metric 700");
  EXPECT_FALSE(network().has_native_ipv4(up0));
  run("ip route add default metric 9 nexthop via 198.51.100.1 dev up0 nexthop via 203.0.113.1 dev peer0 onlink");
  EXPECT_TRUE(network().has_native_ipv4(up0)) << "one of several";
}

TEST(RtNetlinkTest, ANamespaceWhereNothingEverWasHasNothing) {
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
  auto rtnetlink = RtNetlink::open();
  ASSERT_TRUE(ok(rtnetlink));
  EXPECT_EQ(rtnetlink->default_routes(), std::vector<DefaultRoute>{});
  EXPECT_EQ(rtnetlink->host_routes(), std::vector<HostRoute>{});
  EXPECT_EQ(rtnetlink->proxies(), std::vector<ProxyNeighbour>{});
}

}  // namespace
}  // namespace clat::system
