#include "core/clatd/arguments.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "core/xlat/translator.hpp"

namespace clat::clatd {
namespace {

using Words = std::vector<const char*>;

const Words kGood{"-i", "wan0", "-p",           "64:ff9b::/96", "-4",           "192.0.0.4", "-6",     "2001:db8::1",
                  "-t", "3",    "--tun-format", "vnet",         "--control-fd", "4",         "--user", "65534:65533"};

TEST(Arguments, TakesWhatTheSupervisorPasses) {
  const auto line = parse(kGood);
  ASSERT_TRUE(line) << line.error();
  const auto& got = std::get<Arguments>(*line);
  EXPECT_EQ(got.interface, "wan0");
  EXPECT_EQ(got.prefix.text(), "64:ff9b::/96");
  EXPECT_EQ(got.v4.text(), "192.0.0.4");
  EXPECT_EQ(got.v6.text(), "2001:db8::1");
  EXPECT_EQ(got.dialect, Dialect::native);
  EXPECT_EQ(got.tun_fds, std::vector{3});
  EXPECT_EQ(got.control_fd, 4);
  EXPECT_EQ(got.ids, (Ids{65534, 65533}));
}

TEST(Arguments, ControlAndUserMayBeAbsent) {
  const auto line = parse(Words(kGood.begin(), kGood.begin() + 12));
  ASSERT_TRUE(line) << line.error();
  EXPECT_FALSE(std::get<Arguments>(*line).control_fd);
  EXPECT_FALSE(std::get<Arguments>(*line).ids);
}

TEST(Arguments, ValuesMayBeGlued) {
  const auto line = parse(Words{"-iwan0", "-p64:ff9b::/96", "-4192.0.0.4", "-62001:db8::1", "-t3", "--tun-format=vnet",
                                "--control-fd=4", "--user=65534:65533"});
  ASSERT_TRUE(line) << line.error();
  EXPECT_EQ(*line, *parse(kGood));
}

Arguments good(Words words) {
  const auto line = parse(words);
  if (!line) throw std::logic_error(line.error());
  return std::get<Arguments>(*line);
}
Words operator+(Words left, const Words& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

TEST(Arguments, WhatIsNotSaidHasItsDefault) {
  const auto got = good(kGood);
  EXPECT_EQ(got.mtu, std::nullopt);
  EXPECT_EQ(got.lowest_ipv6_mtu, std::nullopt);
  EXPECT_EQ(got.icmp_rate, 100U);
  EXPECT_TRUE(got.ranges.empty());
  EXPECT_FALSE(got.allow_private_ipv4);
}

TEST(Arguments, TakesHowToTranslate) {
  const auto got =
      good(kGood + Words{"--mtu", "1492", "--lowest-ipv6-mtu=1280", "--icmp-rate", "0", "--allow-private-ipv4", "--map",
                         "192.168.1.0/24=2001:db8:1:c1a7::/96", "--map=10.0.0.0/8=2001:db8:2::/64"});
  EXPECT_EQ(got.mtu, 1492U);
  EXPECT_EQ(got.lowest_ipv6_mtu, 1280U);
  EXPECT_EQ(got.icmp_rate, 0U);
  EXPECT_TRUE(got.allow_private_ipv4);
  ASSERT_EQ(got.ranges.size(), 2U);
  EXPECT_EQ(got.ranges[0].text(), "192.168.1.0/24=2001:db8:1:c1a7::/96");
  EXPECT_EQ(got.ranges[1].text(), "10.0.0.0/8=2001:db8:2::/64");
}

TEST(Arguments, FurtherQueuesFollowTheControlSocket) {
  EXPECT_EQ(good(kGood + Words{"--queues", "1"}).tun_fds, std::vector{3});
  EXPECT_EQ(good(kGood + Words{"--queues", "4"}).tun_fds, (std::vector{3, 5, 6, 7}));
}

const Words kAndroid{"-i", "rmnet0", "-p", "64:ff9b::", "-4", "192.0.0.4", "-6", "2001:db8::1", "-t", "7"};

TEST(Arguments, TakesWhatAndroidPasses) {
  const auto got = good(kAndroid + Words{"-r", "8", "-w", "9"});
  EXPECT_EQ(got.dialect, Dialect::aosp);
  EXPECT_EQ(got.prefix.text(), "64:ff9b::/96");
  EXPECT_EQ(got.tun_fds, std::vector{7});
  EXPECT_EQ(got.packet_fd, 8);
  EXPECT_EQ(got.raw_fd, 9);
  EXPECT_EQ(got.control_fd, std::nullopt);
}

TEST(Arguments, TakesWhatAndroidPassedIn2019) {
  const auto got = good(kAndroid + Words{"-n", "100", "-m", "0xf0064"});
  EXPECT_EQ(got.dialect, Dialect::aosp_2019);
  EXPECT_EQ(got.prefix.text(), "64:ff9b::/96");
  EXPECT_EQ(got.network_id, 100U);
  EXPECT_EQ(got.mark, 0xf0064U);
  EXPECT_EQ(got.packet_fd, std::nullopt);
}

TEST(Arguments, BetweenItsErasAndroidPassedBoth) {
  EXPECT_EQ(good(kAndroid + Words{"-n", "100", "-m", "0x0", "-r", "8", "-w", "9"}).dialect, Dialect::aosp);
}

struct BadMix {
  Words words;
  const char* error;
};
class BadCombination : public testing::TestWithParam<BadMix> {};

TEST_P(BadCombination, IsRefusedInOneLine) {
  const auto line = parse(GetParam().words);
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error(), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadCombination,
    testing::Values(
        BadMix{kAndroid + Words{"-r", "8"}, "-w: missing: the raw socket's file descriptor"},
        BadMix{kAndroid + Words{"-w", "8"}, "-r: missing: the packet socket's file descriptor"},
        BadMix{kAndroid, "--tun-format: missing: vnet"},
        BadMix{kAndroid + Words{"-r", "8", "-w", "8"}, "file descriptor 8: named for two purposes"},
        BadMix{kAndroid + Words{"-n", "1", "--queues", "2"}, "--queues: needs --tun-format vnet"},
        BadMix{kGood + Words{"-r", "8"}, "--tun-format: -r, -w, -n and -m are for Android's, which has none"},
        BadMix{kGood + Words{"--control-fd", "6", "--queues", "3"}, "file descriptor 6: named for two purposes"},
        BadMix{kGood + Words{"--allow-private-ipv4=yes"}, "--allow-private-ipv4: takes no value"}));

TEST(Arguments, TakesNoMoreRangesThanTheTranslator) {
  Words words = kGood;
  for (std::size_t n = 0; n < xlat::kMostRanges; ++n) words = words + Words{"--map", "10.0.0.0/8=2001:db8:2::/64"};
  EXPECT_EQ(good(words).ranges.size(), xlat::kMostRanges);
  const auto line = parse(words + Words{"--map", "10.0.0.0/8=2001:db8:2::/64"});
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error(), "--map: too many; at most 8");
}

TEST(Arguments, HelpAndVersionWinOverWhatIsMissing) {
  EXPECT_EQ(parse(Words{"--help"}), CommandLine(HelpWanted{}));
  EXPECT_EQ(parse(Words{"-i", "wan0", "--version"}), CommandLine(VersionWanted{}));
}

struct Bad {
  const char* option;
  const char* value;  // null: the option is left out
  const char* error;
};
class BadArgument : public testing::TestWithParam<Bad> {};

TEST_P(BadArgument, IsRefusedInOneLine) {
  const auto& bad = GetParam();
  Words words;
  bool replaced = false;
  for (std::size_t i = 0; i < kGood.size(); i += 2) {
    const bool here = std::string_view(kGood[i]) == bad.option;
    replaced = replaced || here;
    if (here && bad.value == nullptr) continue;
    words.insert(words.end(), {kGood[i], here ? bad.value : kGood[i + 1]});
  }
  if (!replaced) words.insert(words.end(), {bad.option, bad.value});
  const auto line = parse(words);
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error(), bad.error);
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadArgument,
    testing::Values(
        Bad{"-i", nullptr, "-i: missing: the uplink's name"},
        Bad{"-i", "", "-i: expected an interface name of 1 to 15 characters"},
        Bad{"-i", "a-name-too-long-for-it", "-i: expected an interface name of 1 to 15 characters"},
        Bad{"-p", nullptr, "-p: missing: the NAT64 prefix with its length"},
        Bad{"-p", "64:ff9b::", "-p: a NAT64 prefix needs a length, like 64:ff9b::/96"},
        Bad{"-p", "64:ff9b::/95", "-p: prefix length /95 is none of RFC 6052's: 32, 40, 48, 56, 64, 96"},
        Bad{"-4", nullptr, "-4: missing: the CLAT's IPv4 address"}, Bad{"-4", "192.0.0", "-4: not an IPv4 address"},
        Bad{"-6", nullptr, "-6: missing: the CLAT's IPv6 address"}, Bad{"-6", "1.2.3.4", "-6: not an IPv6 address"},
        Bad{"-6", "::", "-6: not a unicast address"}, Bad{"-6", "ff02::1", "-6: not a unicast address"},
        Bad{"-t", nullptr, "-t: missing: the tun's file descriptor"},
        Bad{"-t", "2", "-t: expected a file descriptor from 3 to 1023"},
        Bad{"-t", "-3", "-t: expected a file descriptor from 3 to 1023"},
        Bad{"-t", "3x", "-t: expected a file descriptor from 3 to 1023"},
        Bad{"-t", "99999999999", "-t: expected a file descriptor from 3 to 1023"},
        Bad{"-t", "4", "file descriptor 4: named for two purposes"},
        Bad{"--tun-format", nullptr, "--tun-format: missing: vnet"},
        Bad{"--tun-format", "raw", "--tun-format: the one format known is vnet"},
        Bad{"--control-fd", "0", "--control-fd: expected a file descriptor from 3 to 1023"},
        Bad{"--user", "nobody", "--user: expected UID:GID, two decimal numbers"},
        Bad{"--user", "1:", "--user: expected UID:GID, two decimal numbers"},
        Bad{"--user", "4294967295:1", "--user: expected UID:GID, two decimal numbers"},
        Bad{"--queues", "0", "--queues: expected a number from 1 to 8"},
        Bad{"--queues", "9", "--queues: expected a number from 1 to 8"},
        Bad{"--mtu", "1279", "--mtu: expected an MTU from 1280 to 65535"},
        Bad{"--mtu", "65536", "--mtu: expected an MTU from 1280 to 65535"},
        Bad{"--lowest-ipv6-mtu", "1e9", "--lowest-ipv6-mtu: expected an MTU from 1280 to 65535"},
        Bad{"--icmp-rate", "-1", "--icmp-rate: expected a number from 0 to 1000000"},
        Bad{"--map", "10.0.0.0/8", "--map: expected IPV4/LENGTH=IPV6/LENGTH, like 192.168.1.0/24=2001:db8:1:c1a7::/96"},
        Bad{"-m", "0x1ffffffff", "-m: expected a number of 32 bits"},
        Bad{"-m", "0x", "-m: expected a number of 32 bits"},
        Bad{"-n", "0x1", "-n: expected a number from 0 to 4294967295"},
        Bad{"--what", "x", "--what: no such option; try --help"}, Bad{"-x", "y", "-x: no such option; try --help"},
        Bad{"word", "x", "word: not an option; try --help"}));

TEST(Arguments, AnOptionAtTheEndNeedsItsValue) {
  const auto line = parse(Words{"-i"});
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error(), "-i: needs a value; try --help");
}

}  // namespace
}  // namespace clat::clatd
