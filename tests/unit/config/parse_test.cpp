// What a good file comes to.
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <tuple>

#include "fixture.hpp"

namespace clat::config {
namespace {

using namespace std::chrono_literals;

TEST(Parse, OnePrefixIsEnough) {
  const Config config = config_of(wan0());
  ASSERT_EQ(config.interfaces.size(), 1U);
  const Interface& wan = config.interfaces[0];
  EXPECT_EQ(wan.name, "wan0");
  EXPECT_EQ(wan.nat64_prefix->text(), "64:ff9b::/96");
  EXPECT_EQ(wan.route_metric, 2048U);
  EXPECT_EQ(wan.fast_path, FastPathMode::automatic);
  EXPECT_FALSE(wan.ipv4_address || wan.ipv6_address || wan.mtu || wan.lowest_ipv6_mtu);
  EXPECT_EQ(config.clatd.path, "/opt/bin/clatd");
  EXPECT_EQ(config.clatd.uid, 65534U);
  EXPECT_EQ(config.log, Log{});
  EXPECT_EQ(config.ipv4_pool, Ipv4Pool::service_continuity());
}

TEST(Parse, Dialects) {
  const std::string wan0 = "interfaces: {wan0: {nat64-prefix: 64:ff9b::/96}}\n";
  EXPECT_EQ(config_of(wan0).clatd.dialect, Dialect::native);
  EXPECT_EQ(config_of(wan0 + "clatd: {dialect: aosp}").clatd.dialect, Dialect::aosp);
  EXPECT_EQ(config_of(wan0 + "clatd: {dialect: aosp-2019}").clatd.dialect, Dialect::aosp_2019);
}

TEST(Parse, EveryKeyArrives) {
  const Config config = config_of(R"(
interfaces:
  wwan0:
    nat64-prefix: 2001:db8:64::/96
    ipv4-address: 192.0.0.5
    ipv6-address: 2001:db8::5
    mtu: 1420
    fast-path: required
    default-route: {metric: 100}
    mark: 0xCAFE
    net-id: 7
    queues: 8
    lowest-ipv6-mtu: 1280
    allow-private-ipv4: false
    shaping: ignore
clatd:
  path: /usr/sbin/clatd
  dialect: native
  user: clat
  restart: {initial: 200ms, max: 1m, factor: 1.5, jitter: 0, stable-after: 2h}
  stop-timeout: 3s
log:
  level: warn
  format: json
  target: /var/log/clatvisor.log
  health-interval: 5m
ipv4-pool: 10.64.0.0/24
audit-interval: 10ms
icmp-rate: 50/s
control-socket: /run/c.sock
state-dir: /run/c
bpf-dir: /sys/fs/bpf/c
)");
  Config expected;
  expected.interfaces.push_back({.name = "wwan0",
                                 .tun = "v4-wwan0",
                                 .nat64_prefix = Nat64Prefix::parse("2001:db8:64::/96").value(),
                                 .ipv4_address = Ipv4Address::parse("192.0.0.5"),
                                 .ipv6_address = Ipv6Address::parse("2001:db8::5"),
                                 .mtu = 1420,
                                 .fast_path = FastPathMode::required,
                                 .route_metric = 100,
                                 .mark = 0xcafe,
                                 .net_id = 7,
                                 .queues = 8,
                                 .lowest_ipv6_mtu = 1280,
                                 .allow_private_ipv4 = false,
                                 .follow_shaping = false});
  expected.clatd = {.path = "/usr/sbin/clatd",
                    .user = "clat",
                    .uid = 100,
                    .gid = 101,
                    .restart = {200ms, 1min, 1.5, 0, 2h},
                    .stop_timeout = 3s};
  expected.log = {LogLevel::warn, LogFormat::json, "/var/log/clatvisor.log", 5min};
  expected.ipv4_pool = Ipv4Pool::parse("10.64.0.0/24").value();
  expected.audit_interval = 10ms;
  expected.icmp_rate_per_second = 50;
  expected.control_socket.path = "/run/c.sock";
  expected.state_dir = "/run/c";
  expected.bpf_dir = "/sys/fs/bpf/c";
  EXPECT_EQ(config, expected);
}

TEST(Parse, ALanIsServedAsWished) {
  EXPECT_EQ(config_of(wan0()).lan, Lan{});
  EXPECT_EQ(config_of(wan0() + "lan: {masquerade: true, clamp-mss: true, forwarding: true}\n").lan,
            (Lan{true, true, true}));
  EXPECT_EQ(config_of(wan0() + "lan: {masquerade: true, clamp-mss: false}\n").lan, (Lan{.masquerade = true}));
}

TEST(Parse, DevicesOfALanTakeTheShortcut) {
  EXPECT_TRUE(config_of(wan0()).offload.empty());
  const auto config = config_of(wan0() + "lan: {offload: [br-lan, br-lan.10]}\n");
  EXPECT_EQ(config.offload, (std::vector<std::string>{"br-lan", "br-lan.10"}));
  EXPECT_FALSE(config.lan.wants_anything());
}

TEST(Parse, AControlSocketIsAPathOrNoneOrHasAGroup) {
  EXPECT_EQ(config_of(wan0()).control_socket, (ControlSocket{.path = "/run/clatvisor/control.sock"}));
  EXPECT_EQ(config_of(wan0() + "control-socket: off\n").control_socket.path, "");
  EXPECT_EQ(config_of(wan0() + "control-socket: {group: adm}\n").control_socket,
            (ControlSocket{.path = "/run/clatvisor/control.sock", .group = "adm", .gid = 4}));
  EXPECT_EQ(config_of(wan0() + "control-socket: {path: /run/c, group: adm}\n").control_socket,
            (ControlSocket{.path = "/run/c", .group = "adm", .gid = 4}));
}

TEST(Parse, APatternCountsAsOneEntry) {
  const auto config = config_of(
      "interfaces:\n  wwan*: {nat64-prefix: '64:ff9b::/96', tun: auto}\n  '*':\n    mtu: 1400\n  eth0: {default-route: "
      "{metric: 2049}}\n");
  ASSERT_EQ(config.interfaces.size(), 3U);
  EXPECT_EQ(config.interfaces[0].name, "wwan*");
  EXPECT_EQ(config.interfaces[0].tun, "");
  EXPECT_EQ(config.interfaces[0].route_metric, 2048U);
  EXPECT_EQ(config.interfaces[1].mtu, 1400U);
  EXPECT_EQ(config.interfaces[1].route_metric, 2049U);  // the first that its links may have
  EXPECT_EQ(config.interfaces[2].tun, "v4-eth0");
}

TEST(Parse, DefaultsStandForWhatAnInterfaceDoesNotSay) {
  const Config config = config_of(
      "interfaces:\n"
      "  a: {}\n"
      "  b: {nat64-prefix: auto, fast-path: auto, mark: 2, default-route: {metric: 7}}\n"
      "  c: {nat64-prefix: {auto: true, only: [64:ff9b::/96]}, ipv6-address: 2001:db8::5}\n"
      "defaults: {nat64-prefix: 2001:db8:64::/96, fast-path: off, mark: 1, when: always, default-route: false, "
      "ipv6-source: 2001:db8:5::/64}\n");
  const auto& [a, b, c] = std::tie(config.interfaces[0], config.interfaces[1], config.interfaces[2]);
  EXPECT_EQ(a, (Interface{.name = "a",
                          .tun = "v4-a",
                          .nat64_prefix = Nat64Prefix::parse("2001:db8:64::/96").value(),
                          .ipv6_source = Ipv6Prefix::parse("2001:db8:5::/64").value(),
                          .when = When::always,
                          .fast_path = FastPathMode::off,
                          .mark = 1,
                          .allow_private_ipv4 = a.allow_private_ipv4}));
  EXPECT_EQ(b.nat64_prefix, std::nullopt);
  EXPECT_EQ(b.fast_path, FastPathMode::automatic);
  EXPECT_EQ(b.mark, 2U);
  EXPECT_EQ(b.when, When::always);
  EXPECT_EQ(b.route_metric, 7U);
  EXPECT_EQ(c.nat64_prefix, std::nullopt);
  EXPECT_EQ(c.only_prefixes.size(), 1U);
  EXPECT_EQ(c.ipv6_source, std::nullopt) << "its own address is nearer";
  EXPECT_EQ(c.route_metric, std::nullopt);
}

TEST(Parse, WithDefaultsMetricsStillGrow) {
  const Config config = config_of("defaults: {when: always}\ninterfaces: {a: {}, b: {}}\n");
  EXPECT_EQ(config.interfaces[0].route_metric, 2048U);
  EXPECT_EQ(config.interfaces[1].route_metric, 2049U);
}

TEST(Parse, AutoIsTheSameAsNoKey) {
  EXPECT_EQ(config_of(wan0("ipv4-address: auto\n    ipv6-address: auto\n    mtu: auto\n    fast-path: auto\n    "
                           "lowest-ipv6-mtu: auto") +
                      "clatd: {path: auto}\n"),
            config_of(wan0()));
}

TEST(Parse, ClatdRunsAsClatvisorWhereThatUserIs) {
  Surroundings packaged = paper_machine();
  packaged.find_user = [](const std::string& user) -> std::optional<Account> {
    if (user == "clatvisor") return Account{998, 997};
    return paper_machine().find_user(user);
  };
  for (const std::string_view clatd : {"", "clatd: {user: auto}\n"}) {
    SCOPED_TRACE(clatd);
    const std::string text = wan0() + std::string(clatd);
    const auto bare = parse(text, paper_machine()), with = parse(text, packaged);
    ASSERT_TRUE(bare && with);
    EXPECT_EQ(bare->clatd.user, "nobody");
    EXPECT_EQ(bare->clatd.uid, 65534U);
    EXPECT_EQ(with->clatd.user, "clatvisor");
    EXPECT_EQ(with->clatd.uid, 998U);
    EXPECT_EQ(with->clatd.gid, 997U);
  }
  EXPECT_EQ(config_of(wan0() + "clatd: {user: clat}\n").clatd.user, "clat");
}

TEST(Parse, MetricsGrowWithThePositionInTheFile) {
  const Config config = config_of(
      "interfaces:\n"
      "  c: {nat64-prefix: 64:ff9b::/96}\n"
      "  a: {nat64-prefix: 64:ff9b::/96, default-route: false}\n"
      "  b: {nat64-prefix: 64:ff9b::/96, default-route: {}}\n");
  ASSERT_EQ(config.interfaces.size(), 3U);
  EXPECT_EQ(config.interfaces[0].name, "c");
  EXPECT_EQ(config.interfaces[0].route_metric, 2048U);
  EXPECT_EQ(config.interfaces[1].route_metric, std::nullopt);
  EXPECT_EQ(config.interfaces[2].route_metric, 2050U);
}

TEST(Parse, QuotedAndPlainAreTheSame) {
  EXPECT_EQ(config_of("'interfaces':\n  \"wan0\":\n    nat64-prefix: '64:ff9b::/96'\n    mtu: \"1500\"\n"),
            config_of(wan0("mtu: 1500")));
}

// YAML 1.1 would read these names as booleans, null and numbers.
TEST(Parse, ScalarsAreTextAndNothingElse) {
  const Config config = config_of(
      "interfaces:\n"
      "  on: {nat64-prefix: 64:ff9b::/96, fast-path: off}\n"
      "  no: {nat64-prefix: 64:ff9b::/96, fast-path: 'off'}\n"
      "  null: {nat64-prefix: 64:ff9b::/96}\n"
      "  1e3: {nat64-prefix: 64:ff9b::/96}\n"
      "  '010': {nat64-prefix: 64:ff9b::/96}\n");
  ASSERT_EQ(config.interfaces.size(), 5U);
  EXPECT_EQ(config.interfaces[0].name, "on");
  EXPECT_EQ(config.interfaces[0].fast_path, FastPathMode::off);
  EXPECT_EQ(config.interfaces[1].name, "no");
  EXPECT_EQ(config.interfaces[1].fast_path, FastPathMode::off);
  EXPECT_EQ(config.interfaces[2].name, "null");
  EXPECT_EQ(config.interfaces[3].name, "1e3");
  EXPECT_EQ(config.interfaces[4].name, "010");
}

TEST(Parse, ByteOrderMarkCarriageReturnsAndDocumentMarkersAreHarmless) {
  const Config plain = config_of(wan0());
  EXPECT_EQ(config_of("\xef\xbb\xbf" + wan0()), plain);
  EXPECT_EQ(config_of("interfaces:\r\n  wan0:\r\n    nat64-prefix: 64:ff9b::/96\r\n"), plain);
  EXPECT_EQ(config_of("%YAML 1.1\n---\n" + wan0() + "...\n"), plain);
  EXPECT_EQ(config_of("# \xc3\xa4 comment\n" + wan0()), plain);
}

TEST(Parse, FixedAddressOutsideThePoolIsFine) {
  EXPECT_EQ(config_of(wan0("ipv4-address: 10.1.2.3")).interfaces[0].ipv4_address, Ipv4Address::parse("10.1.2.3"));
}

TEST(Parse, ClatdIsTheFirstExecutableOfItsPlaces) {
  Surroundings machine = paper_machine();
  machine.is_executable = [](const std::string& path) { return path == "/opt/libexec/clatvisor/clatd"; };
  const auto parsed = parse(wan0(), machine);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->clatd.path, "/opt/libexec/clatvisor/clatd");
}

TEST(Parse, TunNamesCarryThePrefixV4) {
  EXPECT_EQ(tun_name("wan0"), "v4-wan0");
  EXPECT_EQ(tun_name("abcdefghijkl"), "v4-abcdefghijkl");
  EXPECT_EQ(tun_name("wwp0s20f0u3i12"), "v4-p0s20f0u3i12");
  EXPECT_EQ(config_of(wan0("tun: clat")).interfaces[0].tun, "clat");
  EXPECT_EQ(config_of(wan0("tun: auto")).interfaces[0].tun, "v4-wan0");
}

TEST(Parse, AnInterfaceNeedsNothing) {
  const auto config = config_of("interfaces: {wan0: {}}\n");
  ASSERT_EQ(config.interfaces.size(), 1u);
  EXPECT_FALSE(config.interfaces[0].nat64_prefix);
}

TEST(Parse, APrefixThatIsDiscovered) {
  EXPECT_FALSE(config_of("interfaces:\n  wan0:\n    nat64-prefix: auto\n").interfaces[0].nat64_prefix);
  const auto only =
      config_of("interfaces:\n  wan0:\n    nat64-prefix: {auto: true, only: [64:ff9b::/96, 2001:db8:64::/96]}\n");
  EXPECT_FALSE(only.interfaces[0].nat64_prefix);
  EXPECT_EQ(only.interfaces[0].only_prefixes.size(), 2u);
}

TEST(Parse, DnsServers) {
  const auto config = config_of(wan0() + "dns: {servers: [2001:db8::53, \"::1\"]}\n");
  ASSERT_EQ(config.dns_servers.size(), 2u);
  EXPECT_EQ(config.dns_servers[0].address, Ipv6Address::parse("2001:db8::53"));
  EXPECT_NE(report(wan0() + "dns: {servers: [192.0.2.1]}\n").find("servers: '192.0.2.1' is not the IPv6 address"),
            std::string::npos);
}

TEST(Parse, WhenThereIsToBeAClat) {
  EXPECT_EQ(config_of(wan0()).interfaces[0].when, When::no_native_ipv4);
  EXPECT_EQ(config_of(wan0("when: no-native-ipv4")).interfaces[0].when, When::no_native_ipv4);
  EXPECT_EQ(config_of(wan0("when: always")).interfaces[0].when, When::always);
}

TEST(Parse, WhereTheIpv6AddressComesFrom) {
  EXPECT_EQ(config_of(wan0("ipv6-source: 2001:db8:1::/64")).interfaces[0].ipv6_source,
            Ipv6Source(Ipv6Prefix::parse("2001:db8:1::/64").value()));
  EXPECT_EQ(config_of(wan0("ipv6-source: {from: br-lan}")).interfaces[0].ipv6_source, Ipv6Source("br-lan"));
}

TEST(Parse, TwentyThousandInterfacesTakeWellUnderASecond) {
  std::string text = "interfaces:\n";
  for (int i = 0; i < 20'000; ++i) text += "  w" + std::to_string(i) + ": {nat64-prefix: 64:ff9b::/96}\n";
  const std::clock_t start = std::clock();  // of this process, whatever else the machine has to do
  const Config config = config_of(text);
  const std::clock_t taken = std::clock() - start;
  EXPECT_EQ(config.interfaces.size(), 20'000U);
  EXPECT_EQ(config.interfaces.back().route_metric, 2048U + 19'999U);
  EXPECT_LT(taken, 1 * CLOCKS_PER_SEC);
}

TEST(Parse, Hooks) {
  using Strings = std::vector<std::string>;
  const Config config = config_of(R"(
defaults: {on-up: [/etc/hook, all], on-down: [/etc/hook]}
interfaces:
  wan0: {on-up: [/etc/wan0, "a word"], on-down: []}
  wan1: {}
)");
  EXPECT_EQ(config.interfaces[0].on_up, (Strings{"/etc/wan0", "a word"}));
  EXPECT_EQ(config.interfaces[0].on_down, Strings{});
  EXPECT_EQ(config.interfaces[1].on_up, (Strings{"/etc/hook", "all"}));
  EXPECT_EQ(config.interfaces[1].on_down, (Strings{"/etc/hook"}));
}

TEST(Parse, Probe) {
  const Config config = config_of(R"(
defaults: {probe: {address: 192.0.0.170}}
interfaces:
  wan0: {}
  wan1: {probe: {interval: 1s, address: 198.51.100.1}}
  wan2: {probe: false}
)");
  EXPECT_EQ(config.interfaces[0].probe, (Probe{*Ipv4Address::parse("192.0.0.170"), 30s}));
  EXPECT_EQ(config.interfaces[1].probe, (Probe{*Ipv4Address::parse("198.51.100.1"), 1s}));
  EXPECT_EQ(config.interfaces[2].probe, std::nullopt);
}

}  // namespace
}  // namespace clat::config
