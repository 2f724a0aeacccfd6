// A LAN mapped one to one: which parts know of it, and what a reload of it touches.
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using Words = std::vector<std::string>;

RangeMapping range(const char* text) { return *RangeMapping::parse(text); }

class OneToOnePlan : public testing::Test {
 protected:
  void bring_up(std::vector<RangeMapping> ranges) {
    map(std::move(ranges));
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  void map(std::vector<RangeMapping> ranges) {
    config.interfaces[0].ranges = std::move(ranges);
    bench.load(config);
  }
  template <class Wanted>
  Wanted spec(Part part) {
    return std::get<Wanted>(*bench.edge.spec("up0", part));
  }
  Ipv6Address own_v6() { return spec<RecordSpec>(Part::record).v6; }

  config::Config config = config_of(1);
  Bench bench;
  const std::vector<RangeMapping> lan{range("192.168.1.0/24=2001:db8:1:c1a7::/96")};
};

TEST_F(OneToOnePlan, IsKnownToAllThatTranslatesConfinesAndLeadsThere) {
  config.lan.masquerade = true;
  bring_up(lan);
  EXPECT_EQ(spec<RecordSpec>(Part::record).ranges, lan);
  EXPECT_EQ(spec<FilterSpec>(Part::filter).filter.by.ranges, lan);
  EXPECT_EQ(spec<FastPathSpec>(Part::fast_path).ranges, lan);
  EXPECT_EQ(spec<AnnounceSpec>(Part::announce).ranges, lan);
  EXPECT_EQ(spec<ChildSpec>(Part::child).ranges, lan);
  EXPECT_EQ(spec<LanSpec>(Part::lan).unmasqueraded, std::vector{lan[0].v4});
}

TEST_F(OneToOnePlan, IsKnownToTheRulesThatStandInForBpf) {
  bench.edge.no_bpf = Error{"bpf", EPERM};
  bring_up(lan);
  const auto filter = spec<FilterSpec>(Part::filter);
  EXPECT_EQ(filter.means, FilterMeans::nftables);
  EXPECT_EQ(filter.filter.by.ranges, lan);
}

TEST_F(OneToOnePlan, TheClatsOwnAddressIsOnTheUplink) {
  bring_up(lan);
  EXPECT_TRUE(Ipv6Prefix::parse("2001:db8::/64").value().contains(own_v6()));
}

TEST_F(OneToOnePlan, WhereTheUplinkHasNoneItIsBesideWhatIsMapped) {
  for (const char* text : {"10.0.0.0/8=2001:db8:1:c1a7::/96", "192.168.0.0/16=2001:db8:1:c1a7::/64",
                           "192.168.0.0/16=2001:db8:1:c100::/56", "192.168.0.0/16=2001:db8:1::/48"}) {
    Bench other;
    config.interfaces[0].ranges = {range(text)};
    other.load(config);
    other.link("up0", 2);
    const auto* record = other.edge.spec("up0", Part::record);
    ASSERT_NE(record, nullptr) << text;
    const auto v6 = std::get<RecordSpec>(*record).v6;
    EXPECT_TRUE(range(text).v6.contains(v6)) << text;
    EXPECT_FALSE(range(text).covered().contains(v6)) << text;
  }
}

TEST_F(OneToOnePlan, AReloadTouchesWhatKnowsOfIt) {
  bring_up(lan);
  const auto own = own_v6();
  const auto events = bench.events_of("up0").size();
  bench.edge.executed.clear();
  auto two = lan;
  two.push_back(range("10.0.0.0/8=2001:db8:1:c1a8::/64"));
  for (const auto& ranges : {two, lan}) {
    bench.edge.executed.clear();
    map(ranges);
    Words done;
    for (const auto& each : bench.edge.executed) {
      if (each.verb != Verb::verify) done.push_back(std::string(name(each.verb)) + " " + std::string(name(each.part)));
    }
    std::ranges::sort(done);
    EXPECT_EQ(done, (Words{"change announce", "change fast-path", "change filter", "change record", "make child",
                           "remove child"}));
    EXPECT_EQ(spec<AnnounceSpec>(Part::announce).ranges, ranges);
    EXPECT_EQ(spec<ChildSpec>(Part::child).ranges, ranges);
    EXPECT_EQ(own_v6(), own);
  }
  const auto told = bench.events_of("up0");
  EXPECT_EQ(std::count(told.begin() + static_cast<std::ptrdiff_t>(events), told.end(), "clat.down"), 0);
}

TEST_F(OneToOnePlan, WaitsWhileItsPrefixIsOnALink) {
  bench.link("lan0", 3);
  bench.address(3, "2001:db8:1:c1a7::1");
  bring_up(lan);
  EXPECT_FALSE(bench.edge.has("up0", Part::tun));
  EXPECT_EQ(field(*bench.last("clat.waiting"), "reason_code"), "source-on-link");
  EXPECT_EQ(field(*bench.last("clat.waiting"), "reason"),
            "an ipv6-source must be routed here, but there is a subnet with 2001:db8:1:c1a7::/96 on lan0");
  bench.no_address(3, "2001:db8:1:c1a7::1");
  EXPECT_TRUE(bench.edge.has("up0", Part::announce));
}

TEST_F(OneToOnePlan, ASubnetBesideWhatIsMappedIsNoHindrance) {
  bench.link("lan0", 3);
  bench.address(3, "2001:db8:1:1::1");
  bring_up({range("192.168.0.0/16=2001:db8:1::/48")});
  EXPECT_TRUE(bench.edge.has("up0", Part::announce));
}

}  // namespace
}  // namespace clat::plan::test
