// ipv4-source and ipv6-source: a LAN mapped one to one.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace clat::config {
namespace {

std::vector<RangeMapping> ranges(std::initializer_list<const char*> texts) {
  std::vector<RangeMapping> all;
  for (const auto* text : texts) all.push_back(*RangeMapping::parse(text));
  return all;
}

// The two lines of wan0, in line 4 and 5 of the file.
std::string mapped(const std::string& v4, const std::string& v6) {
  return wan0("ipv4-source: " + v4) + "    ipv6-source: " + v6 + "\n";
}

// The first problem, without the file's name and the lines that show the place.
std::string first_problem(const std::string& text) {
  const auto all = report(text);
  return all.substr(0, all.find('\n'));
}

TEST(OneToOne, AreReadInAnyOrder) {
  const auto expected = ranges({"192.168.1.0/24=2001:db8:1:c1a7::/96"});
  for (const auto& text : {mapped("192.168.1.0/24", "2001:db8:1:c1a7::/96"),
                           wan0("ipv6-source: 2001:db8:1:c1a7::/96") + "    ipv4-source: 192.168.1.0/24\n",
                           mapped("[192.168.1.0/24]", "[2001:db8:1:c1a7::/96]")}) {
    const auto interface = config_of(text).interfaces.at(0);
    EXPECT_EQ(interface.ranges, expected);
    EXPECT_EQ(interface.ipv6_source, std::nullopt);
  }
}

TEST(OneToOne, PairsGoByPosition) {
  EXPECT_EQ(config_of(mapped("[192.168.1.0/24, 10.0.0.0/8, 172.16.5.5/32]",
                             "[2001:db8:1:c1a7::/96, 2001:db8:1:c1a8::/64, 2001:db8:1:c1a7::/96]"))
                .interfaces[0]
                .ranges,
            ranges({"192.168.1.0/24=2001:db8:1:c1a7::/96", "10.0.0.0/8=2001:db8:1:c1a8::/64",
                    "172.16.5.5/32=2001:db8:1:c1a7::/96"}));
}

TEST(OneToOne, EveryLengthOfRfc6052) {
  for (const std::string length : {"32", "40", "48", "56", "64", "96"}) {
    EXPECT_EQ(report(mapped("192.168.1.0/24", "2001:db8::/" + length)), "");
  }
}

TEST(OneToOne, GoesWithAnAddressOfTheClatsOwn) {
  const auto interface =
      config_of(mapped("192.168.1.0/24", "2001:db8:1:c1a7::/96") + "    ipv6-address: 2001:db8:2::5\n").interfaces[0];
  EXPECT_EQ(interface.ranges.size(), 1U);
  EXPECT_EQ(interface.ipv6_address, Ipv6Address::parse("2001:db8:2::5").value());
}

TEST(OneToOne, TakesThePlaceOfWhatTheDefaultsName) {
  const auto config = config_of(mapped("192.168.1.0/24", "2001:db8:1:c1a7::/96") +
                                "  wan1: {nat64-prefix: 64:ff9b::/96}\ndefaults: {ipv6-source: 2001:db8:9::/64}\n");
  EXPECT_EQ(config.interfaces[0].ipv6_source, std::nullopt);
  EXPECT_EQ(config.interfaces[1].ipv6_source, Ipv6Source(Ipv6Prefix::parse("2001:db8:9::/64").value()));
  EXPECT_TRUE(config.interfaces[1].ranges.empty());
}

TEST(OneToOne, RejectedValues) {
  const std::string v6 = "2001:db8:1:c1a7::/96";
  struct Row {
    std::string text, problem;
  };
  const std::string nine =
      "[10.0.0.0/24, 10.0.1.0/24, 10.0.2.0/24, 10.0.3.0/24, 10.0.4.0/24, 10.0.5.0/24, 10.0.6.0/24, 10.0.7.0/24, "
      "10.0.8.0/24]";
  const std::vector<Row> rows = {
      {mapped("lan0", v6), "f:4:18: error: ipv4-source: 'lan0' is not an IPv4 prefix like 192.168.1.0/24"},
      {mapped("2001:db8::/64", v6), "f:4:18: error: ipv4-source: '2001:db8::/64' is IPv6; an IPv4 prefix belongs here"},
      {mapped("127.0.0.0/8", v6), "f:4:18: error: ipv4-source: '127.0.0.0/8' holds no addresses of hosts"},
      {mapped("169.254.0.0/16", v6), "f:4:18: error: ipv4-source: '169.254.0.0/16' holds no addresses of hosts"},
      {mapped("224.0.0.0/4", v6), "f:4:18: error: ipv4-source: '224.0.0.0/4' holds no addresses of hosts"},
      {mapped("64.0.0.0/2", v6), "f:4:18: error: ipv4-source: '64.0.0.0/2': a length from /8 to /32 belongs here"},
      {mapped("192.0.0.8/32", v6),
       "f:4:18: error: ipv4-source: '192.0.0.8/32' holds 192.0.0.8, the source of clatvisor's own ICMP errors"},
      {mapped("[]", v6), "f:4:18: error: ipv4-source: the list is empty"},
      {mapped(nine, v6), "f:4:18: error: ipv4-source: at most 8 can be mapped"},
      {mapped("[192.168.1.0/24, 192.168.2.0/33]", v6), "f:4:35: error: ipv4-source: '192.168.2.0/33': "},
      {wan0("ipv4-source: 192.168.1.0/24"),
       "f:4:18: error: ipv4-source: goes with an ipv6-source, into which it is mapped"},
      {mapped("192.168.1.0/24", "{from: br-lan}"),
       "f:5:18: error: ipv6-source: an ipv4-source is mapped into a prefix; name it"},
      {mapped("[192.168.1.0/24, 10.0.0.0/8]", v6),
       "f:4:18: error: ipv4-source: as many as of ipv6-source belong here, 1, not 2"},
      {mapped("192.168.1.0/24", "2001:db8::/60"),
       "f:5:18: error: ipv6-source: prefix length /60 is none of RFC 6052's: 32, 40, 48, 56, 64, 96"},
      {wan0("ipv6-source: [2001:db8:1::/64, 2001:db8:2::/64]"),
       "f:4:36: error: ipv6-source: the CLAT's own address is in one; a list goes with ipv4-source"},
      {wan0() + "defaults: {ipv4-source: 192.168.1.0/24, ipv6-source: 2001:db8::/96}\n",
       "f:4:25: error: ipv4-source: each interface needs one of its own"},
      {mapped("192.168.1.0/24", v6) + "clatd: {dialect: aosp}\n",
       "f:6:18: error: dialect: 'aosp' maps no ipv4-source; 'wan0' has one"},
  };
  for (const auto& [text, problem] : rows) {
    EXPECT_EQ(first_problem(text).substr(0, problem.size()), problem) << report(text);
  }
}

TEST(OneToOne, OverlapsOfOneInterface) {
  EXPECT_EQ(report(mapped("[10.0.0.0/8, 10.1.0.0/16]", "[2001:db8:1::/96, 2001:db8:2::/96]")),
            "f:4:31: error: ipv4-source: 10.1.0.0/16 overlaps 10.0.0.0/8\n"
            "    ipv4-source: [10.0.0.0/8, 10.1.0.0/16]\n"
            "                              ^\n");
  // 10.1.0.0/16 is 2001:db8:a01::/48 under a /32, and that holds the other prefix.
  EXPECT_EQ(first_problem(mapped("[10.1.0.0/16, 192.168.0.0/16]", "[2001:db8::/32, 2001:db8:a01:5::/96]")),
            "f:5:34: error: ipv6-source: 192.168.0.0/16=2001:db8:a01:5::/96 overlaps 10.1.0.0/16=2001:db8::/32");
  EXPECT_EQ(report(mapped("[10.1.0.0/16, 192.168.0.0/16]", "[2001:db8::/32, 2001:db8:a02:5::/96]")), "");
  EXPECT_EQ(first_problem(mapped("192.168.0.0/16", "64:ff9b::/96")),
            "f:5:18: error: ipv6-source: 64:ff9b::/96 overlaps the interface's NAT64 prefix 64:ff9b::/96");
  EXPECT_EQ(first_problem(mapped("192.0.0.0/30", "2001:db8:1::/96")),
            "f:4:18: error: ipv4-source: 192.0.0.0/30 overlaps the ipv4-pool 192.0.0.0/29");
  EXPECT_EQ(first_problem(mapped("10.0.0.0/8", "2001:db8:1::/96") + "    ipv4-address: 10.1.1.1\n"),
            "f:4:18: error: ipv4-source: 10.0.0.0/8 holds the ipv4-address of 'wan0'");
  EXPECT_EQ(first_problem(mapped("10.0.0.0/8", "2001:db8:1::/96") + "    ipv6-address: 2001:db8:1::a01:101\n"),
            "f:5:18: error: ipv6-source: 10.0.0.0/8=2001:db8:1::/96 holds the ipv6-address of 'wan0'");
  EXPECT_EQ(report(mapped("10.0.0.0/8", "2001:db8:1::/96") + "    ipv6-address: 2001:db8:1::b01:101\n"), "");
}

TEST(OneToOne, OverlapsOfTwoInterfaces) {
  const auto text = [](const std::string& more) {
    return mapped("10.0.0.0/8", "2001:db8:1::/96") + "  wan1:\n    nat64-prefix: 64:ff9b::/96\n    " + more + "\n";
  };
  EXPECT_EQ(first_problem(text("ipv4-source: 10.2.0.0/16\n    ipv6-source: 2001:db8:2::/96")),
            "f:8:18: error: ipv4-source: 10.2.0.0/16 overlaps 10.0.0.0/8 of 'wan0'");
  EXPECT_EQ(first_problem(text("ipv4-source: 192.168.0.0/16\n    ipv6-source: 2001:db8:1::/96")),
            "f:9:18: error: ipv6-source: 2001:db8:1::/96 overlaps 2001:db8:1::/96 of 'wan0'");
  EXPECT_EQ(first_problem(text("ipv4-address: 10.2.3.4")),
            "f:4:18: error: ipv4-source: 10.0.0.0/8 holds the ipv4-address of 'wan1'");
  EXPECT_EQ(report(text("ipv4-source: 192.168.0.0/16\n    ipv6-source: 2001:db8:2::/96")), "");
}

}  // namespace
}  // namespace clat::config
