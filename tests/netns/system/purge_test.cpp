// Cleaning up after a supervisor that was killed.
#include <sched.h>

#include <cerrno>

#include "namespace_fixture.hpp"

namespace clat::system {
namespace {

using test::ok;
using test::run;

class PurgeTest : public test::NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    run("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
  }
  void make_everything(model::Leg leg) {
    const auto made = network().make("up0", tun);
    ASSERT_TRUE(ok(made));
    ASSERT_TRUE(ok(network().make(setup(*made))));
    ASSERT_TRUE(ok(network().make(model::GuardSpec{v6})));
    ASSERT_TRUE(ok(network().make(announce(*made, leg))));
    ASSERT_TRUE(ok(network().make(model::RouteSpec{.tun = *made, .v4 = v4, .metric = 2048})));
  }
};

TEST_F(PurgeTest, LeavesTheNamespaceAsItWas) {
  for (const auto leg : {model::Leg::fast, model::Leg::routed}) {
    const std::string before = snapshot();
    make_everything(leg);
    ASSERT_NE(snapshot(), before);
    die();
    start();
    ASSERT_TRUE(ok(network().purge(record())));
    EXPECT_EQ(snapshot(), before);
    EXPECT_TRUE(ok(network().purge(record())));
  }
}

TEST_F(PurgeTest, AlsoWhatThisProcessMadeItself) {
  const std::string before = snapshot();
  make_everything(model::Leg::routed);
  ASSERT_TRUE(ok(network().purge(record())));
  EXPECT_EQ(tun_fd(), -1);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PurgeTest, AlsoWhenTheUplinkIsGone) {
  make_everything(model::Leg::routed);
  run("ip link delete up0");
  die();
  start();
  ASSERT_TRUE(ok(network().purge(record())));
  EXPECT_EQ(ifindex("v4-up0"), 0);
  EXPECT_EQ(run("ip -6 route show proto 46"), "");
  EXPECT_EQ(run("cat /proc/sys/net/ipv6/conf/all/proxy_ndp"), "0\n");
}

TEST_F(PurgeTest, AlsoWhenSomeOfItIsGone) {
  const std::string before = snapshot();
  make_everything(model::Leg::routed);
  die();
  run("ip link delete v4-up0; ip -6 neighbour delete proxy 2001:db8::c1a7 dev up0");
  start();
  ASSERT_TRUE(ok(network().purge(record())));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PurgeTest, WhatOthersMadeUnderTheSameNamesStays) {
  run("ip tuntap add v4-up0 mode tun && ip link set v4-up0 up && ip address add 192.0.0.4/32 dev v4-up0 &&"
      "ip route add default dev v4-up0 metric 7 src 192.0.0.4 &&"
      "ip -6 route add blackhole 2001:db8::c1a7 && ip -6 neighbour add proxy 2001:db8::c1a7 dev up0");
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().purge(record())));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PurgeTest, WithoutARecordWhatBearsOurMarkIsSwept) {
  const std::string before = snapshot();
  make_everything(model::Leg::fast);
  die();
  start();
  ASSERT_TRUE(ok(network().sweep({record()})));
  EXPECT_NE(ifindex("v4-up0"), 0) << "a record names it";
  ASSERT_TRUE(ok(network().sweep({})));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PurgeTest, ASweepLeavesWhatAnotherThatLivesMade) {
  make_everything(model::Leg::fast);
  const Fd other(::dup(tun_fd()));
  die();
  const std::string before = snapshot();
  start();
  ASSERT_TRUE(ok(network().sweep({})));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PurgeTest, ASweepNamesATunThatMayBeOneOfOurs) {
  make_everything(model::Leg::fast);
  die();
  run("ip link set v4-up0 name other alias mine");
  start();
  const auto swept = network().sweep({record()});
  ASSERT_FALSE(swept);
  EXPECT_EQ(swept.error().what, "other may be what was v4-up0; it is left alone");
  EXPECT_NE(ifindex("other"), 0);
}

TEST_F(PurgeTest, ASweepLeavesWhatOthersMade) {
  run("ip tuntap add v4-up0 mode tun && ip tuntap add v4-up1 mode tun && ip link set v4-up1 alias 'clatvisor CLAT of "
      "up0'"
      " && ip -6 route add blackhole 2001:db8::c1a7 && ip -6 neighbour add proxy 2001:db8::c1a7 dev up0");
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().sweep({})));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(PurgeTest, TakenDownInOrderNothingIsLeftEither) {
  for (const auto leg : {model::Leg::fast, model::Leg::routed}) {
    const std::string before = snapshot();
    make_everything(leg);
    const int device = ifindex("v4-up0");
    ASSERT_TRUE(ok(network().remove(model::RouteSpec{.tun = device, .v4 = v4, .metric = 2048})));
    ASSERT_TRUE(ok(network().remove(announce(device, leg))));
    ASSERT_TRUE(ok(network().remove(model::GuardSpec{v6})));
    ASSERT_TRUE(ok(network().remove(setup(device))));
    ASSERT_TRUE(ok(network().remove("up0", tun)));
    EXPECT_EQ(snapshot(), before);
  }
}

TEST_F(PurgeTest, RemovingAfterTheTunWentIsNoError) {
  make_everything(model::Leg::routed);
  const int device = ifindex("v4-up0");
  run("ip link delete v4-up0");
  EXPECT_TRUE(ok(network().remove(model::RouteSpec{.tun = device, .v4 = v4, .metric = 2048})));
  EXPECT_TRUE(ok(network().remove(announce(device, model::Leg::routed))));
  EXPECT_TRUE(ok(network().remove(setup(device))));
  EXPECT_TRUE(ok(network().remove("up0", tun)));
}

TEST_F(PurgeTest, RecordsOfAnotherNamespaceAreToldApart) {
  ASSERT_TRUE(ok(state().write(record())));
  EXPECT_EQ(state().records()->records, std::vector{record()});
  die();
  // The fixture's namespace goes, and another takes its place, maybe with the same inode number.
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
  run("ip link add up0 type veth peer name peer0");
  start();
  const auto found = state().records();
  ASSERT_TRUE(ok(found));
  EXPECT_TRUE(found->records.empty());
  ASSERT_EQ(found->ignored.size(), 1u);
  EXPECT_EQ(found->ignored[0].why.code, EXDEV);
}

}  // namespace
}  // namespace clat::system
