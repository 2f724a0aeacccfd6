#include <gtest/gtest.h>

#include "fixture.hpp"

namespace clat::config {
namespace {

TEST(Render, PlaceReasonSourceLineAndCaret) {
  EXPECT_EQ(render("a.yaml", {{3, 8, "mtu: 'x' is wrong", "  mtu: x", 7}}),
            "a.yaml:3:8: error: mtu: 'x' is wrong\n"
            "  mtu: x\n"
            "       ^\n");
}

TEST(Render, WithoutASourceLineNoCaret) {
  EXPECT_EQ(render("a.yaml", {{1, 1, "the file is empty", "", 0}}), "a.yaml:1:1: error: the file is empty\n");
}

std::string bad_levels(int count) {
  std::string text = wan0();
  for (int i = 0; i < count; ++i) text += "x" + std::to_string(100 + i) + ": 1\n";
  return text;
}

TEST(Render, TwentyAtMostAndThenACount) {
  const auto parsed = parse(bad_levels(25), paper_machine());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().size(), 25U);
  const std::string text = render("f", parsed.error());
  EXPECT_NE(text.find("f:23:1: error: unknown key 'x119'"), std::string::npos);
  EXPECT_EQ(text.find("x120"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\nx119: 1\n^\nf: 5 more errors (25 in all)\n")) << text;
}

TEST(Render, TwentyHaveNoCountAndTwentyOneHaveOneMore) {
  EXPECT_TRUE(report(bad_levels(20)).ends_with("\nx119: 1\n^\n"));
  EXPECT_TRUE(report(bad_levels(21)).ends_with("\nx119: 1\n^\nf: 1 more error (21 in all)\n"));
}

TEST(Render, ProblemsComeInTheOrderOfTheFile) {
  EXPECT_EQ(report("log: {level: loud}\n"
                   "interfaces:\n"
                   "  a: {nat64-prefix: 64:ff9b::/96, ipv4-address: 192.0.0.4}\n"
                   "  b: {nat64-prefix: 64:ff9b::/96, ipv4-address: 192.0.0.4}\n"
                   "icmp-rate: 0/s\n"),
            "f:1:14: error: level: 'loud' is not debug, info, warn or error\n"
            "log: {level: loud}\n"
            "             ^\n"
            "f:4:49: error: ipv4-address: 192.0.0.4 is already that of 'a' in line 3\n"
            "  b: {nat64-prefix: 64:ff9b::/96, ipv4-address: 192.0.0.4}\n"
            "                                                ^\n"
            "f:5:12: error: icmp-rate: '0/s' is not from 1/s to 1000000/s\n"
            "icmp-rate: 0/s\n"
            "           ^\n");
}

}  // namespace
}  // namespace clat::config
