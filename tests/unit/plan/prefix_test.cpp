// NAT64 prefixes that are discovered: heard, preferred, kept, withdrawn, expired.
#include <gtest/gtest.h>

#include "core/net/clat_address.hpp"
#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

Nat64Prefix prefix(const char* text) { return *Nat64Prefix::parse(text); }

class PrefixTest : public testing::Test {
 protected:
  PrefixTest() {
    config.interfaces[0].nat64_prefix.reset();
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  void hear(const char* text, seconds lifetime = seconds(1800), const char* router = "fe80::1") {
    bench.handle(RouterHeard{"up0", *Ipv6Address::parse(router), {{prefix(text), lifetime}}});
  }
  const Clat& clat() { return bench.app.world().clats.at("up0"); }
  Nat64Prefix used() { return std::get<RecordSpec>(*clat().piece(Part::record).have).prefix; }
  std::size_t count(std::string_view event) {
    return static_cast<std::size_t>(std::ranges::count(bench.events_of("up0"), event));
  }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(PrefixTest, WaitsUntilARouterTellsOne) {
  bench.load(config);
  const auto* waiting = bench.last("clat.waiting", "up0");
  ASSERT_NE(waiting, nullptr);
  EXPECT_EQ(field(*waiting, "reason_code"), "no-prefix");
  EXPECT_TRUE(bench.edge.has("up0", Part::listen));
  hear("64:ff9b::/96");
  EXPECT_TRUE(clat().up);
  const auto* found = bench.last("prefix.found", "up0");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(field(*found, "prefix"), "64:ff9b::/96");
  EXPECT_EQ(field(*found, "source"), "ra");
  EXPECT_EQ(field(*found, "router"), "fe80::1");
  EXPECT_EQ(field(*found, "lifetime"), "1800s");
}

TEST_F(PrefixTest, ALiteralListensToNoRouter) {
  config.interfaces[0].nat64_prefix = prefix("64:ff9b::/96");
  bench.load(config);
  EXPECT_FALSE(std::get<ListenSpec>(*bench.edge.spec("up0", Part::listen)).routers);
  EXPECT_TRUE(bench.edge.solicited.empty());
  hear("2001:db8:64::/96");
  EXPECT_EQ(used(), prefix("64:ff9b::/96"));
}

TEST_F(PrefixTest, SolicitsLaterAndLaterUntilARouterIsHeard) {
  bench.load(config);
  EXPECT_EQ(bench.edge.solicited.size(), 1u);
  bench.advance(seconds(5));
  EXPECT_EQ(bench.edge.solicited.size(), 2u);
  bench.advance(seconds(5));
  EXPECT_EQ(bench.edge.solicited.size(), 2u);
  bench.advance(seconds(5));
  EXPECT_EQ(bench.edge.solicited.size(), 3u);
  bench.handle(RouterHeard{"up0", *Ipv6Address::parse("fe80::1"), {}});
  bench.advance(hours(2));
  EXPECT_EQ(bench.edge.solicited.size(), 3u);
}

TEST_F(PrefixTest, IsKeptWhileARouterOffersIt) {
  bench.load(config);
  hear("2001:db8:64::/96");
  hear("64:ff9b::/96", seconds(1800), "fe80::2");
  EXPECT_EQ(used(), prefix("2001:db8:64::/96"));
  EXPECT_EQ(count("prefix.found"), 1u);
}

TEST_F(PrefixTest, AnotherTakesOverWhenItIsWithdrawn) {
  bench.load(config);
  hear("2001:db8:64::/96");
  hear("64:ff9b::/96", seconds(1800), "fe80::2");
  hear("2001:db8:64::/96", seconds(0));
  EXPECT_EQ(used(), prefix("64:ff9b::/96"));
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(count("prefix.found"), 2u);
  EXPECT_EQ(count("prefix.lost"), 0u);
}

TEST_F(PrefixTest, TheTunStaysWhenThePrefixChanges) {
  bench.load(config);
  hear("2001:db8:64::/96");
  const int tun = clat().tun;
  bench.handle(RouterHeard{"up0",
                           *Ipv6Address::parse("fe80::1"),
                           {{prefix("2001:db8:64::/96"), seconds(0)}, {prefix("64:ff9b::/96"), seconds(600)}}});
  bench.advance(seconds(1));
  EXPECT_EQ(used(), prefix("64:ff9b::/96"));
  EXPECT_EQ(clat().tun, tun);
  EXPECT_TRUE(clat().up);
}

TEST_F(PrefixTest, GoesWithItsLifetimeUnlessItIsHeardAgain) {
  bench.load(config);
  hear("64:ff9b::/96", seconds(600));
  bench.advance(seconds(500));
  hear("64:ff9b::/96", seconds(600));
  bench.advance(seconds(500));
  EXPECT_TRUE(clat().up);
  bench.advance(seconds(101));
  EXPECT_FALSE(clat().up);
  const auto* lost = bench.last("prefix.lost", "up0");
  ASSERT_NE(lost, nullptr);
  EXPECT_EQ(field(*lost, "reason"), "its lifetime ended");
  hear("64:ff9b::/96");
  EXPECT_TRUE(clat().up);
}

TEST_F(PrefixTest, OfTwoRoutersEitherKeepsIt) {
  bench.load(config);
  hear("64:ff9b::/96", seconds(600));
  hear("64:ff9b::/96", seconds(1800), "fe80::2");
  hear("64:ff9b::/96", seconds(0));
  bench.advance(seconds(700));
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(count("clat.down"), 0u);
}

TEST_F(PrefixTest, OnlyThoseThatAreListed) {
  config.interfaces[0].only_prefixes = {prefix("64:ff9b::/96")};
  bench.load(config);
  hear("2001:db8:64::/96");
  EXPECT_FALSE(clat().up);
  hear("64:ff9b::/96");
  EXPECT_EQ(used(), prefix("64:ff9b::/96"));
}

TEST_F(PrefixTest, AndroidsClatdKnowsLength96Only) {
  config.clatd.dialect = config::Dialect::aosp;
  bench.load(config);
  hear("2001:db8:64::/64");
  EXPECT_FALSE(clat().discovered);
  hear("64:ff9b::/96");
  EXPECT_EQ(clat().discovered, prefix("64:ff9b::/96"));
}

TEST_F(PrefixTest, AStormIsBoundedAndToldOnce) {
  bench.load(config);
  hear("64:ff9b::/96");
  for (int i = 0; i < 200; ++i) hear(("2001:db8:" + std::to_string(i + 1) + "::/96").c_str());
  EXPECT_EQ(clat().prefixes.all().size(), Prefixes::kMost);
  EXPECT_EQ(used(), prefix("64:ff9b::/96"));
  EXPECT_EQ(count("prefix.ignored"), 1u);
  EXPECT_EQ(count("prefix.found"), 1u);
}

TEST_F(PrefixTest, FromALiteralToTheSameOneDiscoveredOnlyListensMore) {
  config.interfaces[0].nat64_prefix = prefix("64:ff9b::/96");
  bench.load(config);
  ASSERT_TRUE(clat().up);
  const auto before = bench.edge.executed.size();
  config.interfaces[0].nat64_prefix.reset();
  bench.load(config);
  EXPECT_EQ(std::vector(bench.edge.executed.begin() + static_cast<long>(before), bench.edge.executed.end()),
            (std::vector<Executed>{{"up0", Verb::change, Part::listen}}));
  EXPECT_EQ(bench.edge.solicited.size(), 1u);
  hear("64:ff9b::/96");
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(count("clat.down"), 0u);
}

TEST_F(PrefixTest, ASuccessorGoesOnWithThePrefixOfTheRecord) {
  RecordSpec record{.uplink = "up0",
                    .uplink_ifindex = 2,
                    .tun = "v4-up0",
                    .metric = 2048,
                    .v4 = *Ipv4Address::parse("192.0.0.4"),
                    .v6 = make_clat_ipv6({*Ipv6Address::parse("2001:db8::"), 64}, *Ipv4Address::parse("192.0.0.4"),
                                         prefix("2001:db8:64::/96"), 7),
                    .prefix = prefix("2001:db8:64::/96")};
  bench.handle(RecordsFound{{record}});
  bench.load(config);
  EXPECT_TRUE(bench.edge.purged.empty());
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(clat().addresses->v6, record.v6);
  EXPECT_EQ(field(*bench.last("prefix.found", "up0"), "source"), "record");
  hear("2001:db8:64::/96");
  EXPECT_EQ(count("prefix.found"), 1u);
  // Now that a source has spoken, it alone counts.
  hear("2001:db8:64::/96", seconds(0));
  EXPECT_FALSE(clat().up);
}

TEST_F(PrefixTest, OfALinkThatIsGoneIsForgotten) {
  bench.load(config);
  hear("64:ff9b::/96", hours(18));
  bench.unlink(2);
  bench.link("up0", 7);
  bench.address(7, "2001:db8:1::1");
  EXPECT_FALSE(clat().up);
  hear("2001:db8:64::/96");
  EXPECT_EQ(used(), prefix("2001:db8:64::/96"));
}

TEST_F(PrefixTest, TheMtuThatARouterAdvertisesIsAnUpperBound) {
  const auto told = [&](std::optional<std::uint32_t> mtu) {
    RouterHeard said{"up0", *Ipv6Address::parse("fe80::1"), {{prefix("64:ff9b::/96"), seconds(600)}}};
    said.mtu = mtu;
    bench.handle(said);
    return std::get<SetupSpec>(*bench.edge.spec("up0", Part::setup)).mtu;
  };
  bench.load(config);
  EXPECT_EQ(told(1480), 1452u);
  EXPECT_EQ(told(std::nullopt), 1452u) << "says nothing of it";
  EXPECT_EQ(told(9000), 1472u) << "the link's own is 1500";
  EXPECT_EQ(told(1280), 1252u);
  EXPECT_EQ(count("clat.down"), 0u);
  bench.unlink(2);
  bench.link("up0", 7);
  bench.address(7, "2001:db8::1");
  EXPECT_EQ(told(std::nullopt), 1472u) << "another link";
}

class DnsTest : public PrefixTest {
 protected:
  void hear_of_server(const char* server, seconds lifetime = seconds(600)) {
    bench.handle(RouterHeard{"up0", *Ipv6Address::parse("fe80::1"), {}, {{*Ipv6Address::parse(server), lifetime}}});
  }
  void answer(std::vector<Nat64Prefix> prefixes, seconds ttl = seconds(600)) {
    bench.handle(Nat64Answer{.uplink = "up0", .prefixes = std::move(prefixes), .ttl = ttl});
  }
  void silence() { bench.handle(Nat64Answer{.uplink = "up0", .failure = Error{"ask the DNS", ETIMEDOUT}}); }
  std::size_t asked() { return bench.edge.asked_dns.size(); }
};

TEST_F(DnsTest, IsAskedWhereNoRouterSpeaksInTime) {
  config.interfaces[0].mark = 7;
  bench.load(config);
  EXPECT_EQ(asked(), 0u);
  bench.advance(seconds(1));
  ASSERT_EQ(asked(), 1u);
  EXPECT_EQ(bench.edge.asked_dns[0], (Nat64Question{"up0", 2, *Ipv6Address::parse("2001:db8::1"), 7, {}}));
  answer({prefix("64:ff9b::/96")});
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(field(*bench.last("prefix.found", "up0"), "source"), "dns");
}

TEST_F(DnsTest, ThatRoutersAdvertiseIsAskedUnlessTheConfigNamesOne) {
  const std::vector<NameServer> advertised{{*Ipv6Address::parse("2001:db8::53")}};
  const std::vector<NameServer> configured{{*Ipv6Address::parse("2001:db8::35")}};
  bench.load(config);
  hear_of_server("2001:db8::53");
  bench.advance(seconds(1));
  ASSERT_EQ(asked(), 1u);
  EXPECT_EQ(bench.edge.asked_dns[0].servers, advertised);
  config.dns_servers = configured;
  bench.load(config);
  silence();
  bench.advance(seconds(5));
  ASSERT_EQ(asked(), 2u);
  EXPECT_EQ(bench.edge.asked_dns[1].servers, configured);
}

TEST_F(DnsTest, ThatIsAdvertisedIsNotAskedAfterItsLifetime) {
  bench.load(config);
  hear_of_server("2001:db8::53", seconds(600));
  hear_of_server("2001:db8::54", seconds(60));
  bench.advance(seconds(1));
  EXPECT_EQ(bench.edge.asked_dns.back().servers.size(), 2u);
  answer({prefix("64:ff9b::/96")}, seconds(120));
  bench.advance(seconds(111));
  ASSERT_EQ(asked(), 2u);
  EXPECT_EQ(bench.edge.asked_dns.back().servers, (std::vector<NameServer>{{*Ipv6Address::parse("2001:db8::53")}}));
  hear_of_server("2001:db8::53", seconds(0));
  answer({prefix("64:ff9b::/96")}, seconds(120));
  bench.advance(seconds(111));
  EXPECT_TRUE(bench.edge.asked_dns.back().servers.empty()) << "those that the host was told of";
}

// All others were asked in vain, and it would be half an hour until they are asked again.
TEST_F(DnsTest, ThatIsNewIsAskedSoon) {
  bench.load(config);
  for (int minute = 0; minute < 100; ++minute) {
    bench.advance(seconds(60));
    if (!clat().ask_dns_at) silence();
  }
  const auto before = asked();
  hear_of_server("2001:db8::53");
  EXPECT_EQ(asked(), before);
  bench.advance(seconds(1));
  EXPECT_EQ(asked(), before + 1);
  silence();
  hear_of_server("2001:db8::53");
  bench.advance(seconds(5));
  EXPECT_EQ(asked(), before + 1) << "it is known";
}

TEST_F(DnsTest, IsNotAskedWhileARouterOffersOne) {
  bench.load(config);
  hear("64:ff9b::/96");
  bench.advance(seconds(60));
  EXPECT_EQ(asked(), 0u);
}

TEST_F(DnsTest, WaitsForAnAddressToAskFrom) {
  bench.no_address(2, "2001:db8::1");
  bench.load(config);
  bench.advance(seconds(10));
  EXPECT_EQ(asked(), 0u);
  bench.address(2, "2001:db8::1");
  EXPECT_EQ(asked(), 1u);
}

TEST_F(DnsTest, IsAskedAgainBeforeItsAnswerEnds) {
  bench.load(config);
  bench.advance(seconds(1));
  answer({prefix("64:ff9b::/96")}, seconds(60));
  bench.advance(seconds(49));
  EXPECT_EQ(asked(), 1u);
  bench.advance(seconds(2));
  EXPECT_EQ(asked(), 2u);
}

TEST_F(DnsTest, ItsSilenceTakesNothingBackAndIsAskedLaterAndLater) {
  bench.load(config);
  bench.advance(seconds(1));
  answer({prefix("64:ff9b::/96")}, seconds(60));
  std::vector<std::size_t> counts;
  for (int minute = 0; minute < 60; ++minute) {
    bench.advance(seconds(60));
    if (!clat().ask_dns_at) silence();
  }
  EXPECT_TRUE(clat().up);
  EXPECT_LT(asked(), 12u);
  EXPECT_EQ(count("prefix.unknown"), 1u);
}

TEST_F(DnsTest, ThatKnowsNoneAnyMoreTakesItBack) {
  bench.load(config);
  bench.advance(seconds(1));
  answer({prefix("64:ff9b::/96")}, seconds(60));
  bench.advance(seconds(60));
  answer({});
  EXPECT_FALSE(clat().up);
  EXPECT_EQ(count("prefix.lost"), 1u);
}

TEST_F(DnsTest, GivesWayToARouterAndTakesOverFromTheLast) {
  bench.load(config);
  bench.advance(seconds(1));
  answer({prefix("64:ff9b::/96")});
  hear("2001:db8:64::/96", seconds(600));
  EXPECT_EQ(used(), prefix("2001:db8:64::/96"));
  hear("2001:db8:64::/96", seconds(0));
  EXPECT_EQ(used(), prefix("64:ff9b::/96"));
  EXPECT_TRUE(clat().up);
}

TEST_F(DnsTest, AnAnswerToNoQuestionIsNotHeard) {
  bench.load(config);
  answer({prefix("64:ff9b::/96")});
  EXPECT_FALSE(clat().discovered);
}

}  // namespace
}  // namespace clat::plan::test
