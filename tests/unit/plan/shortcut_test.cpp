// Between which devices and uplinks flows may go past the stack.
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

constexpr int kUplink = 2, kLan = 5;

class ShortcutWish : public testing::Test {
 protected:
  void bring_up() {
    bench.load(config);
    bench.link("up0", kUplink);
    bench.address(kUplink, "2001:db8::1");
  }
  void lan(bool up = true, LinkLayer layer = LinkLayer::ethernet) {
    Link link;
    link.ifindex = kLan;
    link.name = "br-lan";
    link.up = up;
    link.layer = layer;
    link.link_mtu = 1500;
    bench.handle(LinkSeen{link});
    bench.settle();
  }
  [[nodiscard]] bool served() const { return bench.edge.shortcut && bench.edge.shortcut->is_served(); }
  long told(std::string_view event) { return std::ranges::count(bench.notes, event, &Note::event); }

  config::Config config = [] {
    auto one = config_of(1);
    one.offload = {"br-lan"};
    return one;
  }();
  Bench bench;
};

TEST_F(ShortcutWish, IsServedOnceDeviceAndFastPathAreThere) {
  lan();
  EXPECT_FALSE(bench.edge.shortcut);
  bring_up();
  ASSERT_TRUE(served());
  const auto& spec = *bench.edge.shortcut;
  ASSERT_EQ(spec.lans.size(), 1U);
  EXPECT_EQ(spec.lans.front(), (ShortcutSpec::Lan{kLan, "br-lan", 1500}));
  ASSERT_EQ(spec.clats.size(), 1U);
  EXPECT_EQ(spec.clats.front().uplink, kUplink);
  const auto& fast = std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path));
  EXPECT_TRUE(fast.shortcut_out && fast.shortcut_in);
  EXPECT_EQ(spec.clats.front().v6, fast.v6);
  EXPECT_EQ(told("shortcut.served"), 1);
}

TEST_F(ShortcutWish, EndsWithDeviceLinkConfigAndAtTheStop) {
  lan();
  bring_up();
  lan(false);
  EXPECT_FALSE(served());
  lan();
  EXPECT_TRUE(served());
  bench.handle(LinkGone{kLan});
  bench.settle();
  EXPECT_FALSE(served());
  lan();
  auto without = config;
  without.offload.clear();
  bench.load(without);
  EXPECT_FALSE(served());
  EXPECT_FALSE(std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)).shortcut_in);
  bench.load(config);
  EXPECT_TRUE(served());
  bench.handle(StopRequested{15});
  bench.settle();
  EXPECT_FALSE(served());
  EXPECT_EQ(told("clat.down"), 1) << "that of the stop";
}

TEST_F(ShortcutWish, IsAnotherOneAfterAReloadAndARenumbering) {
  lan();
  bring_up();
  const auto first = *bench.edge.shortcut;
  bench.load(config);
  const auto second = *bench.edge.shortcut;
  EXPECT_NE(first, second);
  bench.handle(Ipv6Gone{kUplink, *Ipv6Address::parse("2001:db8::1")});
  bench.address(kUplink, "2001:db8:0:9::1");
  bench.settle();
  ASSERT_TRUE(served());
  EXPECT_NE(second.clats.front().v6, bench.edge.shortcut->clats.front().v6);
}

TEST_F(ShortcutWish, WithoutWishNothingIsSaidOrDone) {
  config.offload.clear();
  lan();
  bring_up();
  EXPECT_FALSE(bench.edge.shortcut);
  EXPECT_FALSE(std::get<FastPathSpec>(*bench.edge.spec("up0", Part::fast_path)).shortcut_out);
}

TEST_F(ShortcutWish, SaysOnceWhyADeviceIsNotServed) {
  bring_up();
  bench.load(config);
  ASSERT_EQ(told("shortcut.unavailable"), 1);
  EXPECT_EQ(field(*bench.last("shortcut.unavailable", "br-lan"), "reason"), "there is no such interface");
  lan(true, LinkLayer::raw_ip);
  EXPECT_EQ(field(*bench.last("shortcut.unavailable", "br-lan"), "reason"), "it has no Ethernet header");
  EXPECT_FALSE(served());
  lan();
  EXPECT_TRUE(served());
}

TEST_F(ShortcutWish, SaysThatThereIsNoFastPath) {
  config.interfaces.front().fast_path = config::FastPathMode::off;
  lan();
  bring_up();
  EXPECT_FALSE(served());
  EXPECT_EQ(field(*bench.last("shortcut.unavailable", "br-lan"), "reason"), "no CLAT has a fast path");
}

TEST_F(ShortcutWish, ThatFailsIsServedAgainLater) {
  lan();
  bench.edge.shortcut_error = Error{"no", ENOMEM};
  bring_up();
  EXPECT_FALSE(served());
  EXPECT_EQ(told("shortcut.unavailable"), 1);
  bench.edge.shortcut_error.reset();
  bench.advance(std::chrono::seconds(30));
  EXPECT_TRUE(served());
}

}  // namespace
}  // namespace clat::plan::test
