// The interfaces of the config on the links that there are.
#include "supervisor/plan/interfaces.hpp"

#include <gtest/gtest.h>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using Names = std::vector<std::string>;

constexpr auto kLong = "enx001122334455-of-the-provider";

Link link_of(int ifindex, const std::string& name, Names altnames = {}) {
  Link link;
  link.ifindex = ifindex;
  link.name = name;
  link.up = link.carrier = true;
  link.mtu = link.link_mtu = 1500;
  link.layer = LinkLayer::ethernet;
  link.mac = {{2, 0, 0, 0, 0, 1}};
  link.altnames = std::move(altnames);
  return link;
}

Links links_of(const std::vector<Link>& all) {
  Links links;
  for (const auto& each : all) links.put(each);
  return links;
}

config::Config config_named(const Names& names) {
  auto config = config_of(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    config.interfaces[i].name = names[i];
    config.interfaces[i].tun = config::tun_name(names[i]);
  }
  return config;
}

Names names_of(const Interfaces& interfaces) {
  Names names;
  for (const auto& [name, interface] : interfaces) {
    EXPECT_EQ(interface.wanted.name, name);
    names.push_back(name + (interface.refusal ? "!" : ""));
  }
  return names;
}

constexpr auto kNoneOfOurs = [](const Link&) { return false; };

Interfaces on(const config::Config& config, const Links& links) {
  LinkMetrics held;
  return interfaces_on(config, links, held, kNoneOfOurs);
}

TEST(Links, AreFoundByAltnames) {
  auto links = links_of({link_of(2, "up0", {kLong, "wan"}), link_of(3, "up1")});
  EXPECT_EQ(links.find(kLong)->ifindex, 2);
  EXPECT_EQ(links.find("wan")->name, "up0");
  links.put(link_of(2, "up0", {"wan"}));
  EXPECT_EQ(links.find(kLong), nullptr);
  links.erase(2);
  EXPECT_EQ(links.find("wan"), nullptr);
}

TEST(Links, AnAltnameOfOldIsNotInTheWayOfAName) {
  auto links = links_of({link_of(2, "up0", {"wan"}), link_of(3, "wan")});
  EXPECT_EQ(links.find("wan")->ifindex, 3);
  links.put(link_of(2, "up0", {"wan"}));
  EXPECT_EQ(links.find("wan")->ifindex, 3);
}

TEST(Interfaces, HaveTheKernelsNameWhereTheLinkIsThere) {
  const auto config = config_named({kLong, "up1"});
  EXPECT_EQ(names_of(on(config, {})), (Names{kLong, "up1"}));
  const auto all = on(config, links_of({link_of(2, "up0", {kLong})}));
  EXPECT_EQ(names_of(all), (Names{"up0", "up1"}));
  EXPECT_EQ(all.at("up0").entry, kLong);
  EXPECT_EQ(all.at("up0").wanted.tun, "v4-up0");
  EXPECT_EQ(all.at("up0").wanted.nat64_prefix, config.interfaces[0].nat64_prefix);
}

TEST(Interfaces, KeepTheTunOfTheConfig) {
  auto config = config_named({kLong});
  config.interfaces[0].tun = "v4-wan";
  EXPECT_EQ(on(config, links_of({link_of(2, "up0", {kLong})})).at("up0").wanted.tun, "v4-wan");
}

TEST(Interfaces, OfTwoAltnamesOfOneLinkTheFirstCounts) {
  const auto all = on(config_named({"wan-b", "wan-a"}), links_of({link_of(2, "up0", {"wan-a", "wan-b"})}));
  EXPECT_EQ(names_of(all), (Names{"up0", "wan-a!"}));
  EXPECT_EQ(all.at("up0").entry, "wan-b");
  EXPECT_EQ(all.at("wan-a").refusal, (Reason{Why::same_link, "wan-b"}));
}

TEST(Interfaces, TheNameGoesBeforeAnAltname) {
  const auto all = on(config_named({"wan", "up0"}), links_of({link_of(2, "up0", {"wan"})}));
  EXPECT_EQ(names_of(all), (Names{"up0", "wan!"}));
  EXPECT_EQ(all.at("wan").refusal, (Reason{Why::same_link, "up0"}));
}

std::vector<std::uint32_t> metrics_of(const Interfaces& interfaces) {
  std::vector<std::uint32_t> metrics;
  for (const auto& [name, interface] : interfaces) metrics.push_back(interface.wanted.route_metric.value_or(0));
  return metrics;
}

TEST(Patterns, TakeEachLinkThatMatches) {
  const auto links = links_of({link_of(1, "lo"), link_of(2, "wwan1"), link_of(3, "wwan0"), link_of(4, "eth0")});
  const auto all = on(config_named({"wwan[0-9]"}), links);
  EXPECT_EQ(names_of(all), (Names{"wwan0", "wwan1"}));
  EXPECT_EQ(all.at("wwan0").entry, "wwan[0-9]");
  EXPECT_EQ(all.at("wwan0").wanted.tun, "v4-wwan0");
  EXPECT_EQ(metrics_of(all), (std::vector<std::uint32_t>{2049, 2048}));  // in the order of ifindex
  EXPECT_EQ(names_of(on(config_named({"?wan?"}), links)), (Names{"wwan0", "wwan1"}));
  EXPECT_EQ(names_of(on(config_named({"*"}), links)), (Names{"eth0", "wwan0", "wwan1"}));
}

TEST(Patterns, NamesAndAltnamesGoBefore) {
  const auto links = links_of({link_of(2, "wwan0"), link_of(3, "wwan1", {"lte"}), link_of(4, "wwan2")});
  const auto all = on(config_named({"wwan*", "wwan0", "lte"}), links);
  EXPECT_EQ(names_of(all), (Names{"wwan0", "wwan1", "wwan2"}));
  EXPECT_EQ(all.at("wwan0").entry, "wwan0");
  EXPECT_EQ(all.at("wwan1").entry, "lte");
  EXPECT_EQ(all.at("wwan2").entry, "wwan*");
  EXPECT_EQ(metrics_of(all), (std::vector<std::uint32_t>{2049, 2050, 2048}));
}

TEST(Patterns, TheFirstOfThemTakesALink) {
  const auto all = on(config_named({"wwan0*", "wwan*"}), links_of({link_of(2, "wwan0"), link_of(3, "wwan1")}));
  EXPECT_EQ(all.at("wwan0").entry, "wwan0*");
  EXPECT_EQ(all.at("wwan1").entry, "wwan*");
}

TEST(Patterns, WithoutALinkStandThereThemselves) {
  auto config = config_named({"wwan*", "eth*"});
  config.interfaces[0].on_down = config.interfaces[1].on_down = {"/etc/clatvisor/down"};
  const auto all = on(config, links_of({link_of(2, "eth0")}));
  EXPECT_EQ(names_of(all), (Names{"eth0", "wwan*!"}));
  EXPECT_EQ(all.at("wwan*").refusal, Reason{Why::no_match});
  EXPECT_TRUE(all.at("wwan*").wanted.on_down.empty());  // nobody is told of what is no link
  EXPECT_FALSE(all.at("eth0").wanted.on_down.empty());
}

TEST(Patterns, MetricsAreTheLowestThatAreFree) {
  const auto links = links_of({link_of(2, "wwan0"), link_of(3, "wwan1"), link_of(4, "eth0")});
  // The pattern counts as one: eth0, behind it, has 2049.
  EXPECT_EQ(metrics_of(on(config_named({"wwan*", "eth0"}), links)), (std::vector<std::uint32_t>{2049, 2048, 2050}));
}

TEST(Patterns, ALinkKeepsItsMetric) {
  const auto config = config_named({"wwan*"});
  LinkMetrics held;
  interfaces_on(config, links_of({link_of(5, "wwan5"), link_of(6, "wwan6")}), held, kNoneOfOurs);
  EXPECT_EQ(held, (LinkMetrics{{5, 2048}, {6, 2049}}));
  held.erase(5);
  const auto all = interfaces_on(config, links_of({link_of(3, "wwan3"), link_of(6, "wwan6"), link_of(7, "wwan7")}),
                                 held, kNoneOfOurs);
  EXPECT_EQ(metrics_of(all), (std::vector<std::uint32_t>{2048, 2049, 2050}));
  // Unless a name in the config has it.
  auto other = config_named({"wwan*", "eth0"});
  EXPECT_EQ(interfaces_on(other, links_of({link_of(6, "wwan6")}), held, kNoneOfOurs).at("wwan6").wanted.route_metric,
            2048U);
}

TEST(Patterns, WithoutADefaultRouteHaveNoMetric) {
  auto config = config_named({"wwan*"});
  config.interfaces[0].route_metric.reset();
  EXPECT_EQ(metrics_of(on(config, links_of({link_of(2, "wwan0")}))), std::vector<std::uint32_t>{0});
}

TEST(Patterns, DoNotTakeTunsOfOurs) {
  LinkMetrics held;
  const auto all = interfaces_on(config_named({"*"}), links_of({link_of(2, "up0"), link_of(9, "v4-up0")}), held,
                                 [](const Link& link) { return link.ifindex == 9; });
  EXPECT_EQ(names_of(all), Names{"up0"});
}

TEST(Patterns, TakeSoManyLinksAndNoMore) {
  Links links;
  for (int i = 0; i < static_cast<int>(kMostMatched) + 44; ++i) links.put(link_of(i + 2, "w" + std::to_string(i)));
  const auto all = on(config_named({"w*"}), links);
  EXPECT_EQ(all.size(), kMostMatched + 1);
  EXPECT_EQ(all.at("w*").refusal, (Reason{Why::too_many_links, "256"}));
  EXPECT_TRUE(all.contains("w255"));
  EXPECT_FALSE(all.contains("w256"));
}

TEST(Patterns, OfTwoLinksWithOneTunTheSecondIsRefused) {
  const auto all = on(config_named({"w*"}), links_of({link_of(2, "wa0123456789ab"), link_of(3, "wb0123456789ab")}));
  EXPECT_EQ(names_of(all), (Names{"wa0123456789ab", "wb0123456789ab!"}));
  EXPECT_EQ(all.at("wb0123456789ab").refusal, (Reason{Why::tun_name_taken, "v4-0123456789ab"}));
}

class Altname : public testing::Test {
 protected:
  void SetUp() override { bench.load(config_named({kLong})); }
  void sees(Link link, bool tells_altnames = true) { bench.handle(LinkSeen{std::move(link), tells_altnames}); }
  [[nodiscard]] bool up(const std::string& name) const {
    const auto& clats = bench.app.world().clats;
    return clats.contains(name) && clats.at(name).up;
  }
  Bench bench;
};

TEST_F(Altname, ItsLinkIsServedUnderTheKernelsName) {
  EXPECT_EQ(bench.last("clat.waiting")->iface, kLong);
  sees(link_of(2, "up0", {kLong}));
  bench.address(2, "2001:db8::1");
  EXPECT_TRUE(up("up0"));
  EXPECT_EQ(field(*bench.last("clat.up", "up0"), "tun"), "v4-up0");
  EXPECT_FALSE(bench.app.world().clats.contains(kLong));
  sees(link_of(2, "up0"), false);  // as IPv6 sees it
  EXPECT_TRUE(up("up0"));
}

TEST_F(Altname, GivenAndTakenWhileTheLinkIsThere) {
  sees(link_of(2, "up0"));
  bench.address(2, "2001:db8::1");
  EXPECT_FALSE(up("up0"));
  sees(link_of(2, "up0", {kLong}));
  EXPECT_TRUE(up("up0"));
  sees(link_of(2, "up0"));
  bench.advance(kGuardGrace);
  EXPECT_TRUE(bench.edge.is_empty());
  EXPECT_EQ(bench.last("clat.waiting")->iface, kLong);
}

TEST_F(Altname, FollowsItsLinkToAnotherName) {
  sees(link_of(2, "up0", {kLong}));
  bench.address(2, "2001:db8::1");
  sees(link_of(2, "up1", {kLong}));
  bench.advance(kGuardGrace);
  EXPECT_TRUE(up("up1"));
  EXPECT_FALSE(bench.edge.has("up0", Part::record));
}

TEST_F(Altname, ASecondEntryForTheLinkIsRefused) {
  sees(link_of(2, "up0", {kLong}));
  bench.address(2, "2001:db8::1");
  bench.load(config_named({kLong, "up0"}));
  EXPECT_TRUE(up("up0"));
  const auto* refusal = bench.last("clat.failed", kLong);
  ASSERT_NE(refusal, nullptr);
  EXPECT_EQ(field(*refusal, "reason"), "it is the same link as up0");
  EXPECT_EQ(field(*refusal, "reason_code"), "same-link");
}

class Pattern : public testing::Test {
 protected:
  Pattern() { config.interfaces[0].tun.clear(); }
  void SetUp() override { bench.load(config); }
  void appears(const std::string& name, int ifindex) {
    bench.link(name, ifindex);
    bench.address(ifindex, "2001:db8:" + std::to_string(ifindex) + "::1");
  }
  [[nodiscard]] const Clat* clat(const std::string& name) const {
    const auto& clats = bench.app.world().clats;
    const auto found = clats.find(name);
    return found == clats.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::uint32_t metric(const std::string& name) const {
    return std::get<RouteSpec>(*bench.edge.spec(name, Part::route)).metric;
  }
  config::Config config = config_named({"wwan*"});
  Bench bench;
};

TEST_F(Pattern, LinksComeAndGo) {
  EXPECT_EQ(field(*bench.last("clat.waiting", "wwan*"), "reason_code"), "no-match");
  appears("wwan0", 2);
  appears("wwan1", 3);
  EXPECT_EQ(clat("wwan*"), nullptr);
  EXPECT_TRUE(clat("wwan0")->up && clat("wwan1")->up);
  EXPECT_NE(clat("wwan0")->addresses->v4, clat("wwan1")->addresses->v4);
  EXPECT_EQ(metric("wwan0"), 2048U);
  EXPECT_EQ(metric("wwan1"), 2049U);
  bench.advance(kGuardGrace);
  bench.edge.executed.clear();
  bench.unlink(2);
  EXPECT_EQ(field(*bench.last("clat.down", "wwan0"), "reason_code"), "no-link");
  bench.advance(kGuardGrace);
  EXPECT_EQ(clat("wwan0"), nullptr);
  for (const auto& each : bench.edge.executed) EXPECT_EQ(each.uplink, "wwan0");
  EXPECT_EQ(metric("wwan1"), 2049U);
  appears("wwan2", 4);
  EXPECT_EQ(metric("wwan2"), 2048U);
}

TEST_F(Pattern, RenamedOutAndIn) {
  appears("wwan0", 2);
  bench.link("lte0", 2);
  bench.advance(kGuardGrace);
  EXPECT_TRUE(bench.edge.is_empty());
  EXPECT_NE(clat("wwan*"), nullptr);
  bench.link("wwan7", 2);
  EXPECT_TRUE(clat("wwan7")->up);
}

TEST_F(Pattern, TakesNoTunOfOurs) {
  config = config_named({"*"});
  config.interfaces[0].tun.clear();
  bench.load(config);
  appears("up0", 2);
  EXPECT_TRUE(clat("up0")->up);
  EXPECT_EQ(bench.app.world().clats.size(), 1U);
}

TEST_F(Pattern, AReloadTouchesOnlyLinksThatMatchNoMore) {
  appears("wwan0", 2);
  appears("wwan1", 3);
  bench.edge.executed.clear();
  config.interfaces[0].name = "wwan1*";
  bench.load(config);
  for (const auto& each : bench.edge.executed) EXPECT_EQ(each.uplink, "wwan0");
  bench.advance(kGuardGrace);
  EXPECT_EQ(clat("wwan0"), nullptr);
  EXPECT_TRUE(clat("wwan1")->up);
}

TEST_F(Pattern, ARecordHoldsTheMetric) {
  Bench later;
  later.handle(RecordsFound{{{.uplink = "wwan1",
                              .uplink_ifindex = 3,
                              .tun = "v4-wwan1",
                              .metric = 2049,
                              .v4 = {},
                              .v6 = {},
                              .prefix = *config.interfaces[0].nat64_prefix}}});
  later.link("wwan1", 3);
  later.load(config);
  EXPECT_EQ(later.app.world().wanted("wwan1")->route_metric, 2049U);
}

}  // namespace
}  // namespace clat::plan::test
