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

Interfaces on(const config::Config& config, const Links& links) { return interfaces_on(config, links); }

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

}  // namespace
}  // namespace clat::plan::test
