// SIGHUP, and what a killed predecessor left behind.
#include <gtest/gtest.h>

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
  EXPECT_EQ(checksum_delta(clat("up0").addresses->v6, clat("up0").addresses->v4, config.interfaces[0].nat64_prefix), 0);
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

TEST_F(Reload, ChangingTheRouteMetricReplacesTheRouteOnly) {
  config.interfaces[0].route_metric = 77;
  bench.load(config);
  EXPECT_EQ(bench.edge.log_of("up0"), (Words{"remove route", "make route"}));
}

TEST(Adoption, TakesOverWhatFits) {
  const auto config = config_of(1);
  const auto v6 =
      make_clat_ipv6(*Ipv6Address::parse("2001:db8::"), {{192, 0, 0, 6}}, config.interfaces[0].nat64_prefix, 5);
  Bench bench;
  bench.link("v4-up0", 50);
  bench.handle(Ipv4Seen{50, {{192, 0, 0, 6}}});
  bench.handle(RecordsFound{{RecordSpec{"up0", 2, "v4-up0", {{192, 0, 0, 6}}, v6, config.interfaces[0].nat64_prefix}}});
  bench.load(config);
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1");
  const auto& clat = bench.app.world().clats.at("up0");
  EXPECT_TRUE(clat.up);
  EXPECT_EQ(clat.addresses, (Addresses{{{192, 0, 0, 6}}, v6}));
  EXPECT_TRUE(std::get<TunSpec>(*bench.edge.spec("up0", Part::tun)).adopt);
  EXPECT_NE(bench.last("supervisor.adopted"), nullptr);
  EXPECT_TRUE(bench.edge.purged.empty());
}

TEST(Adoption, ClearsAwayWhatDoesNot) {
  const auto config = config_of(1);
  Bench bench;
  bench.handle(RecordsFound{{RecordSpec{"up0",
                                        2,
                                        "v4-up0",
                                        {{192, 0, 0, 6}},
                                        *Ipv6Address::parse("2001:db8:9::1"),
                                        config.interfaces[0].nat64_prefix},
                             RecordSpec{"old0",
                                        3,
                                        "v4-old0",
                                        {{192, 0, 0, 7}},
                                        *Ipv6Address::parse("2001:db8:8::1"),
                                        config.interfaces[0].nat64_prefix}}});
  bench.load(config);
  ASSERT_EQ(bench.edge.purged.size(), 1U);
  EXPECT_EQ(bench.edge.purged[0].record.uplink, "old0");
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1");
  ASSERT_EQ(bench.edge.purged.size(), 2U);
  EXPECT_EQ(bench.edge.purged[1].record.uplink, "up0");
  EXPECT_TRUE(bench.app.world().clats.at("up0").up);
  EXPECT_FALSE(std::get<TunSpec>(*bench.edge.spec("up0", Part::tun)).adopt);
}

TEST(Adoption, StopClearsAwayWhatWasNeverTakenOver) {
  const auto config = config_of(1);
  Bench bench;
  bench.handle(RecordsFound{{RecordSpec{
      "up0", 2, "v4-up0", {{192, 0, 0, 6}}, *Ipv6Address::parse("2001:db8:9::1"), config.interfaces[0].nat64_prefix}}});
  bench.load(config);
  bench.handle(StopRequested{15});
  EXPECT_EQ(bench.edge.purged.size(), 1U);
  EXPECT_TRUE(bench.app.done());
}

}  // namespace
}  // namespace clat::plan::test
