#include "core/clatd/arguments.hpp"

#include <gtest/gtest.h>

#include <vector>

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
  EXPECT_EQ(got.tun_fd, 3);
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
        Bad{"-t", "4", "--control-fd: is the tun's"}, Bad{"--tun-format", nullptr, "--tun-format: missing: vnet"},
        Bad{"--tun-format", "raw", "--tun-format: the one format known is vnet"},
        Bad{"--control-fd", "0", "--control-fd: expected a file descriptor from 3 to 1023"},
        Bad{"--user", "nobody", "--user: expected UID:GID, two decimal numbers"},
        Bad{"--user", "1:", "--user: expected UID:GID, two decimal numbers"},
        Bad{"--user", "4294967295:1", "--user: expected UID:GID, two decimal numbers"},
        Bad{"--what", "x", "--what: no such option; try --help"}, Bad{"-x", "y", "-x: no such option; try --help"},
        Bad{"word", "x", "word: not an option; try --help"}));

TEST(Arguments, AnOptionAtTheEndNeedsItsValue) {
  const auto line = parse(Words{"-i"});
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error(), "-i: needs a value; try --help");
}

}  // namespace
}  // namespace clat::clatd
