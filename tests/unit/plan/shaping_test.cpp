// What shapes the uplink shapes its tun: a part like the others, which holds back none of them.
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

constexpr int kUplink = 2, kIfb = 7, kOtherIfb = 8;

class ShapingPart : public testing::Test {
 protected:
  void SetUp() override {
    bench.load(config);
    bench.link("up0", kUplink);
    bench.address(kUplink, "2001:db8::1");
  }
  void ifb(int ifindex, const std::string& name, bool up = true, bool says_so = true) {
    Link link;
    link.ifindex = ifindex;
    link.name = name;
    link.up = up;
    link.is_ifb = says_so;
    bench.handle(LinkSeen{link});
    bench.settle();
  }
  void redirect(int device) {
    const bpf::Redirect by{.kind = "u32", .device = device};
    tell({.redirect = by, .other = {}, .decided = true});
  }
  void tell(bpf::Ingress ingress) {
    bench.handle(TrafficControlChanged{kUplink, std::move(ingress)});
    bench.settle();
  }
  // Where what comes in by the tun goes; 0: nowhere else.
  int copied_to() {
    const auto* spec = bench.edge.spec("up0", Part::shaping);
    return spec == nullptr ? 0 : std::get<ShapingSpec>(*spec).redirect->device;
  }
  long told(std::string_view event) { return std::ranges::count(bench.notes, event, &Note::event); }
  std::string last(std::string_view event, std::string_view key) { return field(*bench.last(event, "up0"), key); }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(ShapingPart, FollowsTheUplink) {
  EXPECT_FALSE(bench.edge.has("up0", Part::shaping));
  ifb(kIfb, "ifb0");
  redirect(kIfb);
  EXPECT_EQ(copied_to(), kIfb);
  EXPECT_EQ(last("shaping.followed", "device"), "ifb0");
  ifb(kOtherIfb, "ifb1");
  redirect(kOtherIfb);
  EXPECT_EQ(copied_to(), kOtherIfb);
  EXPECT_EQ(last("shaping.followed", "device"), "ifb1");
  EXPECT_EQ(told("shaping.ended"), 0) << "it changed in place";
  tell({});
  EXPECT_FALSE(bench.edge.has("up0", Part::shaping));
  EXPECT_EQ(last("shaping.ended", "device"), "ifb1");
  EXPECT_EQ(told("clat.down"), 0);
}

TEST_F(ShapingPart, WaitsForAnIfbThatIsUp) {
  redirect(kIfb);
  EXPECT_EQ(copied_to(), 0) << "there is none";
  ifb(kIfb, "ifb0", false);
  EXPECT_EQ(copied_to(), 0);
  ifb(kIfb, "ifb0");
  EXPECT_EQ(copied_to(), kIfb);
  // What IPv6 says of a device does not name its kind.
  ifb(kIfb, "ifb0", true, false);
  EXPECT_EQ(copied_to(), kIfb);
  bench.handle(LinkGone{kIfb});
  bench.settle();
  EXPECT_EQ(copied_to(), 0);
  EXPECT_EQ(last("shaping.ended", "reason"), "the ifb of the uplink is down or gone");
  EXPECT_EQ(told("shaping.ignored"), 0);
}

TEST_F(ShapingPart, WhatIsNotFollowedIsToldOnce) {
  bench.link("veth0", kIfb);
  redirect(kIfb);
  redirect(kIfb);
  EXPECT_EQ(copied_to(), 0);
  EXPECT_EQ(told("shaping.ignored"), 1);
  tell({.redirect = {}, .other = bpf::OtherFilter{"u32", 7}, .decided = false});
  EXPECT_EQ(told("shaping.ignored"), 2);
  EXPECT_EQ(last("shaping.ignored", "reason"), "its u32 filter of pref 7 does not see what the fast path takes in");
  tell({});
  redirect(kIfb);
  EXPECT_EQ(told("shaping.ignored"), 3) << "again";
}

TEST_F(ShapingPart, IsAMatterOfTheConfigAndTheFastLeg) {
  ifb(kIfb, "ifb0");
  redirect(kIfb);
  config.interfaces[0].follow_shaping = false;
  bench.load(config);
  EXPECT_EQ(copied_to(), 0);
  EXPECT_EQ(last("shaping.ended", "reason"), "not followed, by the config");
  config.interfaces[0].follow_shaping = true;
  bench.load(config);
  EXPECT_EQ(copied_to(), kIfb);
  config.interfaces[0].fast_path = config::FastPathMode::off;
  bench.load(config);
  EXPECT_EQ(copied_to(), 0);
  EXPECT_EQ(last("shaping.ended", "reason"), "by the uplink's own filters");
  EXPECT_EQ(told("shaping.ignored"), 0);
}

TEST_F(ShapingPart, ThatCannotBeHadCostsNothingElse) {
  ifb(kIfb, "ifb0");
  bench.edge.failing[{"up0", Part::shaping}] = Error{"tc", ENOENT};
  redirect(kIfb);
  EXPECT_EQ(told("clat.down") + told("clat.failed"), 0);
  EXPECT_EQ(told("shaping.ignored"), 1);
  bench.edge.failing.clear();
  bench.advance(std::chrono::seconds(60));
  EXPECT_EQ(copied_to(), kIfb);
  EXPECT_EQ(told("shaping.followed"), 1);
}

TEST_F(ShapingPart, IsLookedAtWhenFiltersOfTheTunChange) {
  ifb(kIfb, "ifb0");
  redirect(kIfb);
  bench.edge.steal("up0", Part::shaping);
  bench.handle(TrafficControlChanged{.ifindex = std::get<SetupSpec>(*bench.edge.spec("up0", Part::setup)).tun});
  bench.settle();
  EXPECT_EQ(copied_to(), kIfb);
  EXPECT_EQ(told("part.lost"), 1);
  EXPECT_EQ(told("shaping.ended"), 0);
}

TEST_F(ShapingPart, ThatCouldNotBeReadStays) {
  ifb(kIfb, "ifb0");
  redirect(kIfb);
  bench.handle(TrafficControlChanged{.ifindex = kUplink});
  bench.settle();
  EXPECT_EQ(copied_to(), kIfb);
}

}  // namespace
}  // namespace clat::plan::test
