// What serves a LAN is a part like the others, and holds back none of them.
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

class LanPart : public testing::Test {
 protected:
  void bring_up(config::Lan lan) {
    config.lan = lan;
    bench.load(config);
    bench.link("up0", 2);
    bench.address(2, "2001:db8::1");
  }
  bool has(Part part) { return bench.edge.has("up0", part); }
  long told(std::string_view event) { return std::ranges::count(bench.notes, event, &Note::event); }

  config::Config config = config_of(1);
  Bench bench;
};

TEST_F(LanPart, IsThereOnlyWhereItIsWished) {
  bring_up({});
  EXPECT_FALSE(has(Part::lan));
  config.lan = {.masquerade = true};
  bench.load(config);
  ASSERT_TRUE(has(Part::lan));
  EXPECT_EQ(std::get<LanSpec>(*bench.edge.spec("up0", Part::lan)).wishes, config.lan);
  config.lan.clamp_mss = true;
  bench.load(config);
  EXPECT_EQ(std::get<LanSpec>(*bench.edge.spec("up0", Part::lan)).wishes, config.lan);
  config.lan = {};
  bench.load(config);
  EXPECT_FALSE(has(Part::lan));
  EXPECT_EQ(told("clat.down"), 0);
}

TEST_F(LanPart, ThatCannotBeHadCostsTheRouterNothing) {
  bench.edge.failing[{"up0", Part::lan}] = Error{"nft", ENOENT};
  bring_up({.masquerade = true});
  EXPECT_TRUE(has(Part::route));
  EXPECT_EQ(told("clat.up"), 1);
  EXPECT_EQ(told("clat.failed"), 1);
}

TEST_F(LanPart, IsLookedAtWhenSomebodyChangesNftables) {
  bring_up({.masquerade = true});
  bench.edge.steal("up0", Part::lan);
  EXPECT_FALSE(has(Part::lan));
  bench.handle(NftablesChanged{});
  EXPECT_TRUE(has(Part::lan));
  EXPECT_EQ(told("part.lost"), 1);
  EXPECT_EQ(told("clat.down"), 0);
}

}  // namespace
}  // namespace clat::plan::test
