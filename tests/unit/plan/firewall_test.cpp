// A firewall of the host that drops what has to be forwarded: told once a cause, and no clat.up while it stands.
#include <gtest/gtest.h>

#include "fake_edge.hpp"
#include "supervisor/plan/status.hpp"

namespace clat::plan::test {
namespace {

using namespace std::chrono_literals;

class FirewallTest : public testing::Test {
 protected:
  void bring_up() {
    config.interfaces[0].fast_path = config::FastPathMode::off;
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  const Clat& clat() { return bench.app.world().clats.at("up0"); }
  auto told() { return std::ranges::count(bench.notes, "clat.blocked", &Note::event); }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(FirewallTest, ThatDropsFromTheStartHoldsBackClatUpUntilItLetsThrough) {
  bench.edge.firewall.drops_clat = "ip6 filter FORWARD";
  bring_up();
  bench.advance(1min);
  EXPECT_FALSE(clat().up);
  EXPECT_EQ(bench.last("clat.up"), nullptr);
  EXPECT_EQ(told(), 1);
  EXPECT_EQ(field(*bench.last("clat.blocked", "up0"), "chain"), "ip6 filter FORWARD");
  EXPECT_NE(field(*bench.last("clat.blocked", "up0"), "next"), "");
  const auto status = status_of(bench.app.world(), "up0", clat(), bench.now);
  EXPECT_EQ(status.state, State::waiting);
  EXPECT_EQ(status.obstacle, (Reason{Why::firewall, "ip6 filter FORWARD"}));
  bench.edge.firewall = {};
  bench.advance(config.audit_interval);
  EXPECT_TRUE(clat().up);
}

TEST_F(FirewallTest, ThatBeginsToDropTakesItDownAndIsToldAgainForAnotherCauseOnly) {
  bring_up();
  ASSERT_TRUE(clat().up);
  bench.edge.firewall.drops_clat = "ip6 filter FORWARD";
  bench.advance(config.audit_interval);
  EXPECT_EQ(field(*bench.last("clat.down", "up0"), "reason"), "the firewall drops it, chain ip6 filter FORWARD");
  bench.link("up0", 2, true, false);
  bench.link("up0", 2);
  bench.advance(1min);
  EXPECT_EQ(told(), 1);
  bench.edge.firewall.drops_clat = "inet mine forward";
  bench.advance(config.audit_interval);
  EXPECT_EQ(told(), 2);
}

TEST_F(FirewallTest, ThatDropsWhatTheLanSendsIsToldButTheRouterItselfHasIpv4) {
  bench.edge.firewall.drops_lan = "ip filter FORWARD";
  bring_up();
  EXPECT_TRUE(clat().up);
  EXPECT_EQ(field(*bench.last("clat.blocked", "up0"), "chain"), "ip filter FORWARD");
  bench.advance(1min);
  EXPECT_EQ(told(), 1);
}

}  // namespace
}  // namespace clat::plan::test
