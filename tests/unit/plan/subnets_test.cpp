// What the programs are told of the host's own IPv4 subnets.
#include <gtest/gtest.h>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

Ipv4OnLink on_link(const char* address, const char* subnet) {
  return {*Ipv4Address::parse(address), *Ipv4Prefix::parse(subnet)};
}

class Subnets : public testing::Test {
 protected:
  Subnets() {
    bench.load(config_of(1));
    bench.link("lan0", 9);
    bench.handle(Ipv4Seen{9, on_link("192.168.7.1", "192.168.7.0/24")});
  }
  std::vector<std::string> known() {
    std::vector<std::string> texts;
    for (const auto& each : bench.edge.subnets) texts.push_back(each.text());
    return texts;
  }
  Bench bench;
};

using Texts = std::vector<std::string>;

TEST_F(Subnets, FollowTheAddressesOfTheHost) {
  EXPECT_EQ(known(), Texts{"192.168.7.0/24"});
  bench.handle(Ipv4Seen{9, on_link("192.168.7.2", "192.168.7.0/24")});
  bench.handle(Ipv4Seen{9, on_link("10.1.0.1", "10.0.0.0/8")});
  EXPECT_EQ(known(), (Texts{"10.0.0.0/8", "192.168.7.0/24"}));
  bench.handle(Ipv4Gone{9, *Ipv4Address::parse("192.168.7.1")});
  EXPECT_EQ(known(), (Texts{"10.0.0.0/8", "192.168.7.0/24"})) << "which another address is in";
  bench.handle(Ipv4Gone{9, *Ipv4Address::parse("10.1.0.1")});
  EXPECT_EQ(known(), Texts{"192.168.7.0/24"});
  bench.unlink(9);
  EXPECT_EQ(known(), Texts{});
}

TEST_F(Subnets, OfAPointToPointLinkAreBothEnds) {
  bench.handle(Ipv4Seen{9, on_link("192.0.2.1", "198.51.100.1/32")});
  EXPECT_EQ(known(), (Texts{"192.168.7.0/24", "192.0.2.1/32", "198.51.100.1/32"}));
}

TEST_F(Subnets, AreNotThoseOfLoopback) {
  bench.handle(Ipv4Seen{9, on_link("127.0.0.1", "127.0.0.0/8")});
  EXPECT_EQ(known(), Texts{"192.168.7.0/24"});
}

TEST_F(Subnets, AreReachedWhileTheLinkIsUp) {
  bench.link("lan0", 9, false);
  EXPECT_EQ(known(), Texts{});
  bench.link("lan0", 9, true);
  EXPECT_EQ(known(), Texts{"192.168.7.0/24"});
}

TEST_F(Subnets, AreNotThoseOfOurTuns) {
  bench.link("up0", 2);
  bench.address(2, "2001:db8::1");
  const auto& clat = bench.app.world().clats.at("up0");
  ASSERT_TRUE(clat.up);
  bench.handle(Ipv4Seen{clat.tun, on_link("192.0.0.4", "192.0.0.4/32")});
  EXPECT_EQ(known(), Texts{"192.168.7.0/24"});
}

TEST_F(Subnets, AreTheLargestWhereThereAreTooMany) {
  for (std::uint32_t i = 0; i < kMostSubnets; ++i) {
    const auto address = Ipv4Address::from_number(0x0a000000 + i);
    bench.handle(Ipv4Seen{9, {address, {address, 32}}});
  }
  ASSERT_EQ(bench.edge.subnets.size(), kMostSubnets);
  EXPECT_EQ(known().front(), "192.168.7.0/24");
  EXPECT_EQ(known().back(), "10.0.3.254/32");
}

}  // namespace
}  // namespace clat::plan::test
