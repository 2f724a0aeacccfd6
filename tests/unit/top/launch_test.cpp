// What clatvisor says to a clatd is what our clatd understands, and what Android's own expect to the letter.
#include "supervisor/launch.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/clatd/arguments.hpp"

namespace clat {
namespace {

using Strings = std::vector<std::string>;

const auto kV4 = *Ipv4Address::parse("192.0.0.4");
const auto kV6 = *Ipv6Address::parse("2001:db8:1::c1a7");
const auto kPrefix = *Nat64Prefix::parse("64:ff9b::/96");

model::ChildSpec spec(config::Dialect dialect) {
  return {.dialect = dialect,
          .uplink = "wan0",
          .uplink_ifindex = 7,
          .path = "/usr/sbin/clatd",
          .uid = 65534,
          .gid = 65533,
          .tun = 9,
          .v4 = kV4,
          .v6 = kV6,
          .prefix = kPrefix,
          .mtu = 1492,
          .lowest_ipv6_mtu = 1280,
          .icmp_rate = 250,
          .mark = 0xf0064,
          .net_id = 100};
}

// As clatd's own main: without argv[0].
std::expected<clatd::CommandLine, std::string> understood(const model::ChildSpec& child) {
  const auto argv = clatd_argv(child);
  std::vector<const char*> words;
  for (const auto& word : argv) words.push_back(word.c_str());
  return clatd::parse(std::span(words).subspan(1));
}

// What all dialects have in common.
clatd::Arguments expected(clatd::Dialect dialect) {
  return {.dialect = dialect,
          .interface = "wan0",
          .prefix = kPrefix,
          .v4 = kV4,
          .v6 = kV6,
          .tun_fds = {3},
          .control_fd = {},
          .packet_fd = {},
          .raw_fd = {},
          .ids = {},
          .mtu = {},
          .lowest_ipv6_mtu = {},
          .ranges = {}};
}

TEST(Launch, OurClatdUnderstandsItsOwnDialect) {
  auto child = spec(config::Dialect::native);
  auto arguments = expected(clatd::Dialect::native);
  arguments.control_fd = 4;
  arguments.ids = clatd::Ids{65534, 65533};
  arguments.mtu = 1492;
  arguments.lowest_ipv6_mtu = 1280;
  arguments.icmp_rate = 250;
  EXPECT_EQ(understood(child), clatd::CommandLine(arguments));
  child.ranges = {*RangeMapping::parse("192.168.1.0/24=2001:db8:1:c1a7::/96"),
                  *RangeMapping::parse("10.0.0.0/8=2001:db8:1::/48")};
  arguments.ranges = child.ranges;
  EXPECT_EQ(understood(child), clatd::CommandLine(arguments));

  child.prefix = arguments.prefix = *Nat64Prefix::parse("2001:db8:64::/48");
  child.allow_private_ipv4 = arguments.allow_private_ipv4 = true;
  child.icmp_rate = arguments.icmp_rate = 0;
  EXPECT_EQ(understood(child), clatd::CommandLine(arguments));
}

// The order of the descriptors is that of loop::Launch: the tun, the control socket, the further queues.
TEST(Launch, OurClatdFindsEveryQueueOfItsTun) {
  auto child = spec(config::Dialect::native);
  child.queues = 8;
  const auto line = understood(child);
  ASSERT_TRUE(line) << line.error();
  const auto& arguments = std::get<clatd::Arguments>(*line);
  EXPECT_EQ(arguments.tun_fds, (std::vector{3, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(arguments.control_fd, 4);
}

TEST(Launch, OurClatdUnderstandsWhatAndroidPasses) {
  const auto child = spec(config::Dialect::aosp);
  auto arguments = expected(clatd::Dialect::aosp);
  arguments.packet_fd = 4;
  arguments.raw_fd = 5;
  EXPECT_EQ(understood(child), clatd::CommandLine(arguments));
}

TEST(Launch, OurClatdUnderstandsWhatAndroidPassedUntil2021) {
  const auto child = spec(config::Dialect::aosp_2019);
  auto arguments = expected(clatd::Dialect::aosp_2019);
  arguments.network_id = 100;
  arguments.mark = 0xf0064;
  EXPECT_EQ(understood(child), clatd::CommandLine(arguments));
}

// Android's prefix has no length, its mark is printf's "0x%x", and an option more would end its clatd with status 1.
TEST(Launch, AndroidsDialectsAreSpokenToTheLetter) {
  EXPECT_EQ(clatd_argv(spec(config::Dialect::aosp)),
            (Strings{"clatd-wan0", "-i", "wan0", "-p", "64:ff9b::", "-4", "192.0.0.4", "-6", "2001:db8:1::c1a7", "-t",
                     "3", "-r", "4", "-w", "5"}));
  EXPECT_EQ(clatd_argv(spec(config::Dialect::aosp_2019)),
            (Strings{"clatd-wan0", "-i", "wan0", "-n", "100", "-m", "0xf0064", "-p", "64:ff9b::", "-4", "192.0.0.4",
                     "-6", "2001:db8:1::c1a7", "-t", "3"}));
  auto without = spec(config::Dialect::aosp_2019);
  without.mark = without.net_id = 0;
  const auto argv = clatd_argv(without);
  EXPECT_EQ(Strings(argv.begin() + 3, argv.begin() + 7), (Strings{"-n", "0", "-m", "0x0"}));
}

TEST(Launch, AHookIsToldAllInItsEnvironment) {
  EXPECT_EQ(hook_environment("wan0", {.up = true,
                                      .tun = "v4-wan0",
                                      .v4 = Ipv4Address::parse("192.0.0.4"),
                                      .v6 = Ipv6Address::parse("2001:db8:1::c1a7"),
                                      .prefix = Nat64Prefix::parse("64:ff9b::/96").value(),
                                      .mtu = 1472}),
            (Strings{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "CLATVISOR_EVENT=up", "CLATVISOR_IFACE=wan0",
                     "CLATVISOR_TUN=v4-wan0", "CLATVISOR_V4=192.0.0.4", "CLATVISOR_V6=2001:db8:1::c1a7",
                     "CLATVISOR_PREFIX=64:ff9b::/96", "CLATVISOR_MTU=1472", "CLATVISOR_REASON_CODE="}));
  EXPECT_EQ(hook_environment("wan0", {.tun = "v4-wan0", .why = model::Why::no_carrier}),
            (Strings{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "CLATVISOR_EVENT=down", "CLATVISOR_IFACE=wan0",
                     "CLATVISOR_TUN=v4-wan0", "CLATVISOR_V4=", "CLATVISOR_V6=", "CLATVISOR_PREFIX=", "CLATVISOR_MTU=",
                     "CLATVISOR_REASON_CODE=no-carrier"}));
}

}  // namespace
}  // namespace clat
