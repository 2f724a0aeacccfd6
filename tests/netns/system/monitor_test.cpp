// NetlinkMonitor against the kernel.
#include <poll.h>

#include <algorithm>
#include <functional>
#include <variant>
#include <vector>

#include "namespace_fixture.hpp"
#include "supervisor/sources/netlink_monitor.hpp"

namespace clat::system {
namespace {

using model::Event;
using test::ok;
using test::run;

class MonitorTest : public test::NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    open(sources::NetlinkMonitor::kReceiveBuffer);
  }
  void open(std::size_t receive_buffer) {
    monitor_.reset();
    auto opened = sources::NetlinkMonitor::open(receive_buffer);
    ASSERT_TRUE(ok(opened));
    monitor_.emplace(std::move(*opened));
  }
  sources::NetlinkMonitor& monitor() { return *monitor_; }

  // All that the kernel has said so far. What a command does, it says before the command returns.
  std::vector<Event> events() {
    std::vector<Event> seen;
    const auto drained = monitor().read([&](Event event) { seen.push_back(std::move(event)); });
    EXPECT_TRUE(ok(drained));
    EXPECT_EQ(*drained, sources::NetlinkMonitor::Drained::all);
    return seen;
  }
  // What the kernel says in its own time: waits until one of the kind satisfies `enough`.
  template <class E>
  std::vector<E> await(const std::function<bool(const E&)>& enough) {
    std::vector<E> found;
    pollfd waiting{.fd = monitor().fd(), .events = POLLIN, .revents = 0};
    while (std::ranges::none_of(found, enough)) {
      if (::poll(&waiting, 1, 10'000) != 1) {
        ADD_FAILURE() << "nothing came";
        break;
      }
      std::ranges::move(only<E>(events()), std::back_inserter(found));
    }
    return found;
  }
  template <class E>
  static std::vector<E> only(const std::vector<Event>& events) {
    std::vector<E> found;
    for (const auto& event : events) {
      if (const auto* one = std::get_if<E>(&event)) found.push_back(*one);
    }
    return found;
  }
  // The last word on a link of this name.
  static std::optional<model::Link> last_link(const std::vector<Event>& events, const std::string& name) {
    std::optional<model::Link> last;
    for (const auto& seen : only<model::LinkSeen>(events)) {
      if (seen.link.name == name) last = seen.link;
    }
    return last;
  }

 private:
  std::optional<sources::NetlinkMonitor> monitor_;
};

template <class Value>
std::vector<Value> list(std::span<const Value> values) {
  return {values.begin(), values.end()};
}

TEST_F(MonitorTest, DumpShowsLinksAndAddresses) {
  run("ip address add 10.0.0.1/24 dev up0");
  const auto dumped = monitor().dump();
  ASSERT_TRUE(ok(dumped));
  const auto& kernel = dumped->kernel;
  const int up0 = ifindex("up0");
  ASSERT_EQ(kernel.links.size(), 3u);  // lo, up0, peer0
  const auto& link = *kernel.links.find(up0);
  EXPECT_EQ(link.name, "up0");
  EXPECT_TRUE(link.up);
  EXPECT_TRUE(link.carrier);
  EXPECT_EQ(link.mtu, 1500u);
  EXPECT_EQ(link.layer, LinkLayer::ethernet);
  EXPECT_EQ(link.mac.text() + "\n", run("ip -br link show up0 | tr -s ' ' | cut -d' ' -f3"));
  EXPECT_EQ(list(kernel.ipv4.of(up0)),
            (std::vector{model::Ipv4OnLink{*Ipv4Address::parse("10.0.0.1"), *Ipv4Prefix::parse("10.0.0.0/24")}}));
  EXPECT_EQ(
      list(kernel.ipv6.of(up0)),
      (std::vector{model::Ipv6OnLink{.address = *Ipv6Address::parse(test::kGlobal), .length = 64, .usable = true}}));
}

TEST_F(MonitorTest, WhatHappensAfterOpenIsTold) {
  run("ip address add 10.0.0.1/24 dev up0");
  const auto told = only<model::Ipv4Seen>(events());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].ifindex, ifindex("up0"));
  EXPECT_EQ(told[0].address, (model::Ipv4OnLink{*Ipv4Address::parse("10.0.0.1"), *Ipv4Prefix::parse("10.0.0.0/24")}));

  run("ip address delete 10.0.0.1/24 dev up0");
  EXPECT_EQ(only<model::Ipv4Gone>(events()).size(), 1u);

  const auto is_5 = [](const auto& one) { return one.address == *Ipv6Address::parse("2001:db8::5"); };
  run("ip address add 2001:db8::5/64 dev up0 nodad");
  await<model::Ipv6Seen>([&](const auto& seen) { return is_5(seen.address) && seen.address.usable; });
  run("ip address delete 2001:db8::5/64 dev up0");
  await<model::Ipv6Gone>(is_5);

  run("ip link set up0 down");
  const auto down = last_link(events(), "up0");
  ASSERT_TRUE(down);
  EXPECT_FALSE(down->up);
}

TEST_F(MonitorTest, DadIsFollowedToItsEnd) {
  run("ip address add 2001:db8::6/64 dev up0");
  const auto told = await<model::Ipv6Seen>([](const auto& seen) { return seen.address.usable; });
  EXPECT_FALSE(told.front().address.usable);
}

TEST_F(MonitorTest, ARecreatedLinkIsAnother) {
  const int before = ifindex("up0");
  run("ip link delete up0 && ip link add up0 type veth peer name peer0 && ip link set up0 up");
  const auto told = events();
  const auto gone = only<model::LinkGone>(told);
  EXPECT_TRUE(std::ranges::any_of(gone, [&](const auto& link) { return link.ifindex == before; }));
  const auto now = last_link(told, "up0");
  ASSERT_TRUE(now);
  EXPECT_EQ(now->ifindex, ifindex("up0"));
  EXPECT_NE(now->ifindex, before);
}

TEST_F(MonitorTest, LeavingABridgeIsNotGoing) {
  run("ip link add br0 type bridge && ip link set up0 master br0 && ip link set up0 nomaster");
  EXPECT_TRUE(only<model::LinkGone>(events()).empty());
  run("ip link set up0 master br0 && ip link delete br0");
  const auto gone = only<model::LinkGone>(events());
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_NE(gone[0].ifindex, ifindex("up0"));
}

TEST_F(MonitorTest, AnMtuIsToldWhenItFallsAndWhenItRises) {
  run("ip link set up0 mtu 1400");
  EXPECT_EQ(last_link(events(), "up0")->mtu, 1400u);
  // The kernel's notification of this one still holds the IPv6 MTU of before.
  run("ip link set up0 mtu 1500");
  EXPECT_EQ(last_link(events(), "up0")->mtu, 1500u);
}

TEST_F(MonitorTest, TheIpv6MtuCounts) {
  run("echo 1300 > /proc/sys/net/ipv6/conf/up0/mtu");
  EXPECT_EQ(monitor().dump()->kernel.links.find("up0")->mtu, 1300u);
  run("ip link set up0 alias x");
  EXPECT_EQ(last_link(events(), "up0")->mtu, 1300u);
}

TEST_F(MonitorTest, TrafficControlIsToldOncePerRead) {
  run("tc qdisc add dev up0 clsact && tc qdisc delete dev up0 clsact && tc qdisc add dev up0 clsact");
  const auto told = only<model::TrafficControlChanged>(events());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].ifindex, ifindex("up0"));
  run("tc qdisc delete dev up0 clsact");
  EXPECT_EQ(only<model::TrafficControlChanged>(events()).size(), 1u);
}

TEST_F(MonitorTest, RoutesOfOthersAreToldOncePerReadAndOursAreNot) {
  (void)events();
  ASSERT_TRUE(ok(network().make(model::GuardSpec{v6})));
  EXPECT_TRUE(only<model::Ipv6RoutesChanged>(events()).empty());
  run("ip -6 route add 2001:db8:1::/64 dev up0 && ip -6 route delete 2001:db8:1::/64 dev up0");
  EXPECT_EQ(only<model::Ipv6RoutesChanged>(events()).size(), 1u);
}

TEST_F(MonitorTest, OfTheIpv4RoutesOnlyDefaultsAreToldOncePerMetric) {
  run("ip address add 10.0.0.1/24 dev up0");
  (void)events();
  run("for i in $(seq 250); do echo route add 10.1.$i.0/24 via 10.0.0.2; done | ip -batch -");
  EXPECT_TRUE(only<model::Ipv4DefaultRouteChanged>(events()).empty());
  run("ip route add default via 10.0.0.2 metric 7 && ip route delete default metric 7 && ip route add default dev up0");
  const auto told = only<model::Ipv4DefaultRouteChanged>(events());
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].metric, 0u);
  EXPECT_EQ(told[1].metric, 7u);
}

// Else they would fill its buffer.
TEST_F(MonitorTest, OtherIpv4RoutesDoNotEvenReachTheSocket) {
  open(1);  // the kernel makes it its minimum, some 4 KiB
  run("ip address add 10.0.0.1/24 dev up0");
  (void)events();
  run("for i in $(seq 250); do echo route add 10.1.$i.0/24 via 10.0.0.2; done | ip -batch -");
  const auto drained = monitor().read([](const Event&) {});
  ASSERT_TRUE(drained);
  EXPECT_EQ(*drained, sources::NetlinkMonitor::Drained::all);
}

TEST_F(MonitorTest, RulesCountAsRoutes) {
  (void)events();
  run("ip -6 rule add to 64:ff9b::/96 lookup 99 priority 99");
  EXPECT_EQ(only<model::Ipv6RoutesChanged>(events()).size(), 1u);
  run("ip -6 rule delete priority 99");
  EXPECT_EQ(only<model::Ipv6RoutesChanged>(events()).size(), 1u);
  run("ip -4 rule add lookup 99 priority 99 && ip -4 rule delete priority 99");
  EXPECT_TRUE(only<model::Ipv6RoutesChanged>(events()).empty());
}

TEST_F(MonitorTest, AnOverrunIsToldOnceAndTheNextDumpIsTheTruth) {
  open(1);  // the kernel makes it its minimum, some 4 KiB
  run("for i in $(seq 60); do echo address add 10.0.0.$i/24 dev up0; done | ip -batch -");
  const auto ignore = [](const Event&) {};
  auto drained = monitor().read(ignore);
  ASSERT_TRUE(ok(drained));
  EXPECT_EQ(*drained, sources::NetlinkMonitor::Drained::overrun);

  const auto dumped = monitor().dump();
  ASSERT_TRUE(ok(dumped));
  const auto& kernel = dumped->kernel;
  EXPECT_EQ(kernel.ipv4.of(ifindex("up0")).size(), 60u);

  EXPECT_TRUE(only<model::Ipv4Seen>(events()).empty());
  run("ip address delete 10.0.0.60/24 dev up0");
  EXPECT_EQ(only<model::Ipv4Gone>(events()).size(), 1u);
}

TEST_F(MonitorTest, TheDefaultBufferHoldsAStorm) {
  run("for i in $(seq 1000); do echo address add 10.$((i / 250)).$((i % 250)).1/32 dev up0; done | ip -batch -");
  EXPECT_EQ(only<model::Ipv4Seen>(events()).size(), 1000u);
}

TEST_F(MonitorTest, ADumpOfManyLinksIsWhole) {
  run("for i in $(seq 40); do echo link add br$i type bridge; done | ip -batch -");
  const auto dumped = monitor().dump();
  ASSERT_TRUE(ok(dumped));
  const auto& kernel = dumped->kernel;
  EXPECT_EQ(kernel.links.size(), 43u);
}

}  // namespace
}  // namespace clat::system
