// SIGHUP, and what a killed predecessor left behind.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/net/clat_address.hpp"
#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using Words = std::vector<std::string>;

class Reload : public testing::Test {
 protected:
  void SetUp() override {
    bench.load(config);
    for (int i = 0; i < 3; ++i) {
      bench.link("up" + std::to_string(i), 2 + i);
      bench.address(2 + i, "2001:db8:" + std::to_string(i) + "::1");
    }
    bench.edge.executed.clear();
  }
  Clat clat(const std::string& name) { return bench.app.world().clats.at(name); }

  config::Config config = config_of(2);
  Bench bench;
};

TEST_F(Reload, WithoutAChangePlansNothing) {
  bench.load(config);
  EXPECT_TRUE(bench.edge.executed.empty());
}

TEST_F(Reload, ALogLevelPlansNothing) {
  config.log.level = config::LogLevel::debug;
  bench.load(config);
  EXPECT_TRUE(bench.edge.executed.empty());
}

TEST_F(Reload, AddsOneAndTouchesNoOther) {
  bench.load(config_of(3));
  EXPECT_TRUE(clat("up2").up);
  for (const auto& each : bench.edge.executed) EXPECT_EQ(each.uplink, "up2");
  EXPECT_EQ(field(*bench.last("config.loaded"), "added"), "up2");
}

TEST_F(Reload, RemovesOneAndTouchesNoOther) {
  bench.load(config_of(1));
  for (const auto& each : bench.edge.executed) EXPECT_EQ(each.uplink, "up1");
  EXPECT_EQ(field(*bench.last("clat.down"), "reason"), "no longer configured");
  bench.advance(kGuardGrace);
  EXPECT_FALSE(bench.app.world().clats.contains("up1"));
  EXPECT_FALSE(bench.edge.has("up1", Part::record));
}

TEST_F(Reload, AChangedPrefixKeepsTheTunAndTheAttachment) {
  const int tun = clat("up0").tun;
  config.interfaces[0].nat64_prefix = *Nat64Prefix::parse("2001:db8:64:aaaa::/96");
  bench.load(config);
  EXPECT_TRUE(clat("up0").up);
  EXPECT_EQ(clat("up0").tun, tun);
  EXPECT_EQ(std::get<ChildSpec>(*bench.edge.spec("up0", Part::child)).prefix.text(), "2001:db8:64:aaaa::/96");
  EXPECT_EQ(checksum_delta(clat("up0").addresses->v6, clat("up0").addresses->v4, *config.interfaces[0].nat64_prefix),
            0);
  const auto log = bench.edge.log_of("up0");
  EXPECT_EQ(std::ranges::count(log, "remove fast-path"), 0);
  EXPECT_EQ(std::ranges::count(log, "change fast-path"), 1);
}

TEST_F(Reload, ABrokenFileIsSaidAndChangesNothing) {
  bench.handle(ConfigRejected{"c.yaml", 3, 5, "unknown key", 2});
  EXPECT_TRUE(bench.edge.executed.empty());
  const auto* note = bench.last("config.rejected");
  EXPECT_EQ(field(*note, "line"), "3");
  EXPECT_EQ(field(*note, "col"), "5");
}

TEST_F(Reload, ChangingTheRouteMetricReplacesTheRouteAndItsNote) {
  config.interfaces[0].route_metric = 77;
  bench.load(config);
  EXPECT_EQ(bench.edge.log_of("up0"), (Words{"remove route", "change record", "make route"}));
}

// A successor's first minute: the uplink is there, and so is what the record names.
class Adoption : public testing::Test {
 protected:
  Adoption() {
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
    bench.link("v4-up0", 50);
    bench.handle(Ipv4Seen{50, {{192, 0, 0, 6}}});
  }
  void start() {
    bench.handle(RecordsFound{{record}});
    bench.load(config);
  }
  // Purged, and then made anew as if there had been nothing.
  void expect_cleared_away() {
    start();
    ASSERT_EQ(bench.edge.purged.size(), 1U);
    EXPECT_EQ(bench.edge.purged[0].record, record);
    EXPECT_TRUE(bench.app.world().clats.at("up0").up);
    EXPECT_EQ(bench.last("clat.failed"), nullptr) << "late news of the purged tun is no foreign tun";
    EXPECT_FALSE(std::get<TunSpec>(*bench.edge.spec("up0", Part::tun)).adopt);
    EXPECT_EQ(bench.last("supervisor.adopted"), nullptr);
  }

  config::Config config = config_of(1);
  Nat64Prefix prefix = *config.interfaces[0].nat64_prefix;
  RecordSpec record{.uplink = "up0",
                    .uplink_ifindex = 2,
                    .tun = "v4-up0",
                    .leg = Leg::fast,
                    .metric = 2048,
                    .v4 = {{192, 0, 0, 6}},
                    .v6 = make_clat_ipv6({*Ipv6Address::parse("2001:db8::"), 64}, {{192, 0, 0, 6}}, prefix, 5),
                    .prefix = prefix};
  Bench bench;
};

TEST_F(Adoption, TakesOverWhatFits) {
  start();
  const auto& clat = bench.app.world().clats.at("up0");
  EXPECT_TRUE(clat.up);
  EXPECT_EQ(clat.addresses, (Addresses{record.v4, record.v6}));
  EXPECT_TRUE(std::get<TunSpec>(*bench.edge.spec("up0", Part::tun)).adopt);
  EXPECT_NE(bench.last("supervisor.adopted"), nullptr);
  EXPECT_TRUE(bench.edge.purged.empty());
  EXPECT_TRUE(bench.app.world().leftovers.empty());
}

TEST_F(Adoption, TakesOverTwoAtOnce) {
  config = config_of(2);
  auto second = record;
  second.uplink = "up1";
  second.uplink_ifindex = 3;
  second.tun = "v4-up1";
  second.metric = 2049;
  second.prefix = *config.interfaces[1].nat64_prefix;
  second.v4 = {{192, 0, 0, 7}};
  second.v6 = make_clat_ipv6({*Ipv6Address::parse("2001:db8:1::"), 64}, second.v4, second.prefix, 5);
  bench.link("up1", 3);
  bench.address(3, "2001:db8:1::1");
  bench.handle(RecordsFound{{record, second}});
  bench.load(config);
  EXPECT_TRUE(bench.edge.purged.empty());
  EXPECT_TRUE(bench.app.world().clats.at("up1").adopt);
}

TEST_F(Adoption, ClearsAwayAnAddressOfAnotherSubnet) {
  record.v6 = make_clat_ipv6({*Ipv6Address::parse("2001:db8:9::"), 64}, record.v4, prefix, 5);
  expect_cleared_away();
}

TEST_F(Adoption, IsJudgedAlthoughTheRouteIsAskedForAgain) {
  record.v6 = make_clat_ipv6({*Ipv6Address::parse("2001:db8:9::"), 64}, record.v4, prefix, 5);
  bench.edge.meanwhile = [&] {
    bench.edge.meanwhile = nullptr;
    bench.app.handle(Ipv6RoutesChanged{});
  };
  expect_cleared_away();
}

// It would be left at once, and what stands there would be forgotten.
TEST_F(Adoption, ClearsAwayWhatIsInADeprecatedSubnet) {
  const Ipv6OnLink deprecated{
      .address = *Ipv6Address::parse("2001:db8::1"), .length = 64, .usable = true, .deprecated = true};
  bench.handle(Ipv6Seen{2, deprecated});
  bench.address(2, "2001:db8:9::1");
  expect_cleared_away();
}

TEST_F(Adoption, ClearsAwayWhatFittedAtFirstOnly) {
  bench.edge.failing[{"up0", Part::record}] = Error{"full", ENOSPC};
  start();
  EXPECT_TRUE(bench.edge.purged.empty());
  bench.no_address(2, "2001:db8::1");
  bench.address(2, "2001:db8:9::1");
  bench.edge.failing.clear();
  bench.advance(std::chrono::seconds(1));
  ASSERT_EQ(bench.edge.purged.size(), 1U);
  EXPECT_EQ(bench.edge.purged[0].record, record);
  EXPECT_EQ(bench.last("supervisor.adopted"), nullptr);
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
}

// The proxy entry of its address is there, and nobody but the record knows.
TEST_F(Adoption, ClearsAwayWhatIsTakenOverInPartOnly) {
  bench.edge.failing[{"up0", Part::setup}] = Error{"not yet", EPERM};
  start();
  EXPECT_NE(bench.last("supervisor.adopted"), nullptr);
  bench.edge.executed.clear();
  bench.address(2, "2001:db8:9::1");
  bench.no_address(2, "2001:db8::1");
  bench.edge.failing.clear();
  bench.advance(std::chrono::seconds(20));
  const auto log = bench.edge.log_of("up0");
  const auto removed = std::ranges::find(log, "remove record");
  EXPECT_NE(std::find(removed, log.end(), "make record"), log.end());
  EXPECT_EQ(std::ranges::find(log, "change record"), log.end()) << testing::PrintToString(log);
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
}

TEST_F(Adoption, ClearsAwayWhatIsTakenOverInPartWithoutDelay) {
  bench.edge.failing[{"up0", Part::announce}] = Error{"not yet", EINVAL};
  start();
  EXPECT_TRUE(bench.edge.has("up0", Part::guard));
  bench.address(2, "2001:db8:9::1");
  bench.no_address(2, "2001:db8::1");
  bench.edge.failing.clear();
  bench.advance(std::chrono::seconds(1));
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
  EXPECT_FALSE(bench.app.world().clats.at("up0").takes_over);
}

TEST_F(Adoption, ClearsAwayWhatIsTakenOverInPartWithoutDelayThoughItsAddressStays) {
  bench.edge.failing[{"up0", Part::announce}] = Error{"not yet", EINVAL};
  start();
  bench.unlink(2);
  config.interfaces[0].queues = 2;
  bench.load(config);
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1");
  bench.edge.failing.clear();
  bench.advance(std::chrono::seconds(1));
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
}

// The programs of its fast path are there as well.
TEST_F(Adoption, ClearsAwayWhatIsTakenOverInPartWhenTheLegChanges) {
  bench.edge.failing[{"up0", Part::setup}] = Error{"not yet", EPERM};
  start();
  bench.edge.executed.clear();
  config.interfaces[0].fast_path = config::FastPathMode::off;
  bench.load(config);
  bench.edge.failing.clear();
  bench.advance(std::chrono::seconds(20));
  const auto log = bench.edge.log_of("up0");
  EXPECT_NE(std::ranges::find(log, "remove record"), log.end()) << testing::PrintToString(log);
  EXPECT_EQ(std::ranges::find(log, "change record"), log.end()) << testing::PrintToString(log);
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
}

TEST_F(Adoption, ClearsAwayAFastPathThatIsNotWanted) {
  config.interfaces[0].fast_path = config::FastPathMode::off;
  expect_cleared_away();
}

TEST_F(Adoption, ClearsAwayTheSlowLegWhereTheFastOneIsRequired) {
  record.leg = Leg::routed;
  config.interfaces[0].fast_path = config::FastPathMode::required;
  expect_cleared_away();
}

TEST_F(Adoption, TakesOverTheSlowLegAndThenChangesToTheFastOne) {
  record.leg = Leg::routed;
  start();
  EXPECT_TRUE(bench.edge.purged.empty());
  EXPECT_NE(bench.last("supervisor.adopted"), nullptr);
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
  EXPECT_EQ(std::get<RecordSpec>(*bench.edge.spec("up0", Part::record)).v6, record.v6);
  EXPECT_EQ(std::get<RecordSpec>(*bench.edge.spec("up0", Part::record)).leg, Leg::fast);
  EXPECT_EQ(std::get<AnnounceSpec>(*bench.edge.spec("up0", Part::announce)).leg, Leg::fast);
  EXPECT_EQ(field(*bench.last("clat.up"), "path"), "tcx");
}

TEST_F(Adoption, TakesOverTheSlowLegWhereThereIsNoFastOne) {
  record.leg = Leg::routed;
  bench.edge.failing[{"up0", Part::fast_path}] = Error{"load the programs", ENOSYS};
  start();
  EXPECT_TRUE(bench.edge.purged.empty());
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
  const auto log = bench.edge.log_of("up0");
  EXPECT_EQ(std::ranges::count(log, "make announce"), 1);
  EXPECT_EQ(std::ranges::find(log, "remove announce"), log.end()) << testing::PrintToString(log);
  EXPECT_EQ(std::ranges::find(log, "make guard"), log.end()) << testing::PrintToString(log);
  EXPECT_EQ(std::get<RecordSpec>(*bench.edge.spec("up0", Part::record)), record);
}

TEST_F(Adoption, ClearsAwayAnotherMetric) {
  record.metric.reset();
  expect_cleared_away();
}

TEST_F(Adoption, ClearsAwayAnotherIncarnationOfTheUplink) {
  record.uplink_ifindex = 1;
  expect_cleared_away();
}

TEST_F(Adoption, ClearsAwayWhatIsNoLongerConfigured) {
  record.uplink = "old0";
  start();
  ASSERT_EQ(bench.edge.purged.size(), 1U);
  EXPECT_EQ(bench.edge.purged[0].record.uplink, "old0");
}

// What is not rebuilt at once must not stay half alive: a default route into a tun that nobody reads, above all.
TEST_F(Adoption, ClearsAwayWhatCannotWorkNow) {
  bench.link("up0", 2, true, false);
  start();
  EXPECT_EQ(bench.edge.purged.size(), 1U) << "no carrier";
}

TEST_F(Adoption, ClearsAwayWhatHasNoRoute) {
  bench.edge.route = failure("no way", ENETUNREACH);
  start();
  EXPECT_EQ(bench.edge.purged.size(), 1U);
  EXPECT_FALSE(bench.app.world().clats.at("up0").up);
}

TEST_F(Adoption, AFailedPurgeIsTriedAgain) {
  record.metric.reset();
  bench.edge.purge_fails = true;
  start();
  EXPECT_EQ(bench.edge.purged.size(), 1U);
  EXPECT_TRUE(bench.edge.executed.empty());
  bench.edge.purge_fails = false;
  bench.advance(std::chrono::milliseconds(100));
  EXPECT_EQ(bench.edge.purged.size(), 2U);
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
}

TEST_F(Adoption, StopClearsAwayWhatWasNeverTakenOver) {
  bench.edge.failing[{"up0", Part::record}] = Error{"write", ENOSPC};
  start();
  EXPECT_TRUE(bench.edge.purged.empty());
  bench.handle(StopRequested{15});
  EXPECT_EQ(bench.edge.purged.size(), 1U);
  EXPECT_TRUE(bench.app.done());
}

}  // namespace
}  // namespace clat::plan::test
