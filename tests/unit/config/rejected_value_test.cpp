// Bad values, each in a file that is right otherwise. The report is asserted to the letter.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace clat::config {
namespace {

// "f:LINE:COLUMN: error: REASON", the line, a caret below the column.
std::string one_report(unsigned line, unsigned column, const std::string& reason, const std::string& source) {
  return "f:" + std::to_string(line) + ":" + std::to_string(column) + ": error: " + reason + "\n" + source + "\n" +
         std::string(column - 1, ' ') + "^\n";
}

// `line` is a "key: value"; the place is the value's.
struct Row {
  std::string line;
  std::string reason;
};

unsigned value_column(const std::string& line) { return static_cast<unsigned>(line.find(": ")) + 3; }

void expect_in_interface(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(report(wan0(row.line)), one_report(4, 4 + value_column(row.line), row.reason, "    " + row.line));
  }
}

void expect_at_top(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(report(wan0() + row.line + "\n"), one_report(4, value_column(row.line), row.reason, row.line));
  }
}

void expect_below(const std::string& key, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(report(wan0() + key + ":\n  " + row.line + "\n"),
              one_report(5, 2 + value_column(row.line), row.reason, "  " + row.line));
  }
}

TEST(RejectedValue, Nat64Prefix) {
  const std::vector<Row> rows = {
      {"nat64-prefix: 64:ff9b::/95",
       "nat64-prefix: '64:ff9b::/95': prefix length /95 is none of RFC 6052's: 32, 40, 48, 56, 64, 96"},
      {"nat64-prefix: 64:ff9b::/129", "nat64-prefix: '64:ff9b::/129': the prefix length is not a number from 0 to 128"},
      {"nat64-prefix: 64:ff9b::/x", "nat64-prefix: '64:ff9b::/x': the prefix length is not a number from 0 to 128"},
      {"nat64-prefix: 64:ff9b::1/96",
       "nat64-prefix: 64:ff9b::1/96 has bits set behind the prefix; did you mean 64:ff9b::/96?"},
      {"nat64-prefix: '64:ff9b::'", "nat64-prefix: '64:ff9b::': a NAT64 prefix needs a length, like 64:ff9b::/96"},
      {"nat64-prefix: 192.0.0.0/29",
       "nat64-prefix: '192.0.0.0/29' is IPv4; an IPv6 prefix belongs here, like 64:ff9b::/96"},
      {"nat64-prefix: ::ffff:0:0/96",
       "nat64-prefix: '::ffff:0:0/96': IPv4-mapped addresses (RFC 4291 §2.5.5.2) cannot be a NAT64 prefix: no packet "
       "carries them"},
      {"nat64-prefix: ::ffff:0:0:0/96",
       "nat64-prefix: '::ffff:0:0:0/96': ::/32 is reserved: no NAT64 prefix lies in it"},
      {"nat64-prefix: wan0", "nat64-prefix: 'wan0' is not an IPv6 prefix like 64:ff9b::/96"},
      {"nat64-prefix: ~", "nat64-prefix: '~' is not an IPv6 prefix like 64:ff9b::/96"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(report("interfaces:\n  wan0:\n    " + row.line + "\n"),
              one_report(3, 4 + value_column(row.line), row.reason, "    " + row.line));
  }
}

TEST(RejectedValue, Ipv4Address) {
  expect_in_interface({
      {"ipv4-address: 2001:db8::1", "ipv4-address: '2001:db8::1' is IPv6; an IPv4 address belongs here"},
      {"ipv4-address: 2001:db8::/64", "ipv4-address: '2001:db8::/64' is IPv6; an IPv4 address belongs here"},
      {"ipv4-address: 192.0.0.4/32", "ipv4-address: '192.0.0.4/32': write the address without a length"},
      {"ipv4-address: 192.0.0", "ipv4-address: '192.0.0' is not auto or an IPv4 address like 192.0.0.4"},
      {"ipv4-address: 192.0.0.004", "ipv4-address: '192.0.0.004' is not auto or an IPv4 address like 192.0.0.4"},
      {"ipv4-address: 0.0.0.0", "ipv4-address: 0.0.0.0 cannot be the address of a host"},
      {"ipv4-address: 127.0.0.1", "ipv4-address: 127.0.0.1 cannot be the address of a host"},
      {"ipv4-address: 224.0.0.1", "ipv4-address: 224.0.0.1 cannot be the address of a host"},
      {"ipv4-address: 255.255.255.255", "ipv4-address: 255.255.255.255 cannot be the address of a host"},
      {"ipv4-address: 192.0.0.8", "ipv4-address: 192.0.0.8 is the source of clatvisor's own ICMP errors"},
  });
}

TEST(RejectedValue, Ipv6Address) {
  expect_in_interface({
      {"ipv6-address: 192.0.0.4", "ipv6-address: '192.0.0.4' is IPv4; an IPv6 address belongs here"},
      {"ipv6-address: 2001:db8::1/64", "ipv6-address: '2001:db8::1/64': write the address without a length"},
      {"ipv6-address: fe80::1%wan0", "ipv6-address: 'fe80::1%wan0' is not auto or an IPv6 address"},
      {"ipv6-address: '::'", "ipv6-address: :: is the unspecified address; a global address belongs here"},
      {"ipv6-address: ::1", "ipv6-address: ::1 is the loopback address; a global address belongs here"},
      {"ipv6-address: ff02::1", "ipv6-address: ff02::1 is multicast; a global address belongs here"},
      {"ipv6-address: fe80::1", "ipv6-address: fe80::1 is link-local; a global address belongs here"},
      {"ipv6-address: ::ffff:192.0.0.4",
       "ipv6-address: ::ffff:192.0.0.4 is IPv4-mapped; a global address belongs here"},
      {"ipv6-address: 64:ff9b::1", "ipv6-address: 64:ff9b::1 lies in the interface's NAT64 prefix"},
  });
}

TEST(RejectedValue, NumbersAndWordsOfAnInterface) {
  expect_in_interface({
      {"mtu: 1279", "mtu: '1279' is not auto or a whole number from 1280 to 65535"},
      {"mtu: 65536", "mtu: '65536' is not auto or a whole number from 1280 to 65535"},
      {"mtu: 1e3", "mtu: '1e3' is not auto or a whole number from 1280 to 65535"},
      {"mtu: 02734", "mtu: '02734': write it without leading zeros"},
      {"mtu: 99999999999999999999", "mtu: '99999999999999999999' is not auto or a whole number from 1280 to 65535"},
      {"lowest-ipv6-mtu: 576", "lowest-ipv6-mtu: '576' is not auto or a whole number from 1280 to 65535"},
      {"fast-path: on", "fast-path: 'on' is not auto, off or required"},
      {"fast-path: false", "fast-path: 'false' is not auto, off or required"},
      {"fast-path: require", "fast-path: 'require' is not auto, off or required; did you mean 'required'?"},
      {"default-route: true", "default-route: 'true' is not false or {metric: NUMBER}"},
      {"default-route: no", "default-route: 'no' is not false or {metric: NUMBER}"},
      {"default-route: 2048", "default-route: '2048' is not false or {metric: NUMBER}"},
      {"default-route: [2048]", "default-route: a list is not false or {metric: NUMBER}"},
      {"mark: 0x1ffffffff", "mark: '0x1ffffffff' does not fit 32 bits"},
      {"mark: 0b11", "mark: '0b11' is not a whole number from 0 to 4294967295, or hexadecimal like 0x10"},
      {"net-id: 4294967296", "net-id: '4294967296' is not a whole number from 0 to 4294967295"},
      {"queues: 0", "queues: '0' is not a whole number from 1 to 8"},
      {"queues: 9", "queues: '9' is not a whole number from 1 to 8"},
      {"allow-private-ipv4: yes", "allow-private-ipv4: 'yes' is not true or false"},
      {"shaping: off", "shaping: 'off' is not follow or ignore"},
  });
}

TEST(RejectedValue, ALineWithoutAValue) {
  EXPECT_EQ(report(wan0("mtu:")), one_report(4, 9, "'mtu' has no value", "    mtu:"));
  EXPECT_EQ(report(wan0("mtu: ''")), one_report(4, 10, "'mtu' has no value", "    mtu: ''"));
  EXPECT_EQ(report(wan0("default-route:")), one_report(4, 19, "'default-route' has no value", "    default-route:"));
  EXPECT_EQ(report(wan0() + "log:\n"), one_report(4, 5, "'log' has no value", "log:"));
}

TEST(RejectedValue, WhatEachLinkOfAPatternNeedsForItself) {
  const std::string why =
      ": each link of the pattern 'wwan*' needs one of its own; give that link an entry with its name";
  const auto under = [](const std::string& line) { return "interfaces:\n  wwan*:\n    " + line + "\n"; };
  EXPECT_EQ(report(under("tun: v4-a")), one_report(3, 10, "tun" + why, "    tun: v4-a"));
  EXPECT_EQ(report(under("ipv4-address: 192.0.0.1")),
            one_report(3, 19, "ipv4-address" + why, "    ipv4-address: 192.0.0.1"));
  EXPECT_EQ(report(under("ipv6-address: 2001:db8::1")),
            one_report(3, 19, "ipv6-address" + why, "    ipv6-address: 2001:db8::1"));
  EXPECT_NE(report(under("ipv4-source: 192.168.1.0/24")).find("ipv4-source" + why), std::string::npos);
  EXPECT_EQ(report(under("default-route: {metric: 7}")),
            one_report(3, 29, "metric" + why, "    default-route: {metric: 7}"));
}

TEST(RejectedValue, InterfaceNames) {
  const auto of_128 = report("interfaces:\n  " + std::string(128, 'w') + ": {}\n");
  EXPECT_NE(of_128.find("has 128 characters; at most 127 are possible"), std::string::npos) << of_128;
  EXPECT_EQ(report("interfaces:\n  " + std::string(127, 'w') + ": {}\n"), "");
  struct {
    std::string key, reason;
  } const rows[] = {
      {"wan/0", "interface name 'wan/0' may hold printable ASCII only, and no space, '/', ':' or '%'"},
      {"'wan 0'", "interface name 'wan 0' may hold printable ASCII only, and no space, '/', ':' or '%'"},
      {"wan0:1", "interface name 'wan0:1' may hold printable ASCII only, and no space, '/', ':' or '%'"},
      {"w%d", "interface name 'w%d' may hold printable ASCII only, and no space, '/', ':' or '%'"},
      {"w\xc3\xa4n", "interface name 'w\xc3\xa4n' may hold printable ASCII only, and no space, '/', ':' or '%'"},
      {"\"w\\0\"", "interface name 'w?' may hold printable ASCII only, and no space, '/', ':' or '%'"},
      {".", "interface name '.' cannot be that of an uplink"},
      {"..", "interface name '..' cannot be that of an uplink"},
      {"lo", "interface name 'lo' cannot be that of an uplink"},
      {"all", "interface name 'all' cannot be that of an uplink"},
      {"default", "interface name 'default' cannot be that of an uplink"},
      {"''", "interface name '' is empty"},
  };
  for (const auto& row : rows) {
    const std::string line = "  " + row.key + ": {nat64-prefix: 64:ff9b::/96}";
    EXPECT_EQ(report("interfaces:\n" + line + "\n"), one_report(2, 3, row.reason, line));
  }
  EXPECT_EQ(report("interfaces:\n  fifteen-letters: {nat64-prefix: 64:ff9b::/96}\n"), "");
}

// "  NAME: {nat64-prefix: 64:ff9b::/96, REST}"
std::string uplink(const std::string& name, const std::string& rest) {
  return "  " + name + ": {nat64-prefix: 64:ff9b::/96" + (rest.empty() ? "" : ", ") + rest + "}\n";
}

TEST(RejectedValue, TwoInterfacesWithTheSame) {
  EXPECT_EQ(report("interfaces:\n" + uplink("a", "ipv4-address: 10.0.0.1") + uplink("b", "ipv4-address: 10.0.0.1")),
            one_report(3, 49, "ipv4-address: 10.0.0.1 is already that of 'a' in line 2",
                       "  b: {nat64-prefix: 64:ff9b::/96, ipv4-address: 10.0.0.1}"));
  EXPECT_EQ(
      report("interfaces:\n" + uplink("a", "ipv6-address: 2001:db8::1") + uplink("b", "ipv6-address: 2001:DB8:0::1")),
      one_report(3, 49, "ipv6-address: 2001:db8::1 is already that of 'a' in line 2",
                 "  b: {nat64-prefix: 64:ff9b::/96, ipv6-address: 2001:DB8:0::1}"));
  EXPECT_EQ(
      report("interfaces:\n" + uplink("a", "default-route: {metric: 7}") + uplink("b", "default-route: {metric: 7}")),
      one_report(3, 59, "metric: 7 is already that of 'a' in line 2",
                 "  b: {nat64-prefix: 64:ff9b::/96, default-route: {metric: 7}}"));
}

TEST(RejectedValue, AMetricThatAnotherHasByItsPosition) {
  EXPECT_EQ(report("interfaces:\n" + uplink("a", "") + uplink("b", "default-route: {metric: 2048}")),
            one_report(3, 59, "metric: 2048 is already that of 'a' in line 2, which has it by its position",
                       "  b: {nat64-prefix: 64:ff9b::/96, default-route: {metric: 2048}}"));
  EXPECT_EQ(report("interfaces:\n" + uplink("a", "default-route: {metric: 2049}") + uplink("b", "")),
            one_report(2, 59, "metric: 2049 is already that of 'b' in line 3, which has it by its position",
                       "  a: {nat64-prefix: 64:ff9b::/96, default-route: {metric: 2049}}"));
  EXPECT_EQ(
      report("interfaces:\n" + uplink("a", "default-route: false") + uplink("b", "default-route: {metric: 2048}")), "");
}

TEST(RejectedValue, AnInterfaceThatIsTheTunOfAnother) {
  EXPECT_EQ(report("interfaces:\n" + uplink("v4-wan0", "") + uplink("wan0", "")),
            one_report(2, 3, "interface 'v4-wan0' is the tun of 'wan0' in line 3",
                       "  v4-wan0: {nat64-prefix: 64:ff9b::/96}"));
  EXPECT_EQ(report("interfaces:\n" + uplink("v4-wan0", "") + uplink("wan1", "")), "");
}

TEST(RejectedValue, OnlyGoesWithAuto) {
  const auto with = [](const std::string& value) {
    return report("interfaces:\n  wan0: {nat64-prefix: " + value + "}\n");
  };
  EXPECT_NE(with("{only: [64:ff9b::/96]}").find("f:2:24: error: nat64-prefix: 'only' goes with 'auto: true'\n"),
            std::string::npos);
  EXPECT_NE(with("{auto: false}").find("auto: 'false' is not true"), std::string::npos);
  EXPECT_NE(with("{auto: true, only: 64:ff9b::/96}").find("'only' takes a list, but here is a single value"),
            std::string::npos);
  EXPECT_NE(with("{auto: true, only: [10.0.0.0/8]}").find("only: '10.0.0.0/8' is IPv4"), std::string::npos);
}

TEST(RejectedValue, TunsOfOneName) {
  EXPECT_EQ(report("interfaces:\n  a-lmnopqrstuvw: {nat64-prefix: 64:ff9b::/96}\n  b-lmnopqrstuvw: {nat64-prefix: "
                   "64:ff9b::/96}\n"),
            one_report(3, 3,
                       "tun: 'v4-lmnopqrstuvw' is already that of 'a-lmnopqrstuvw' in line 2; give one of them a tun: "
                       "NAME of its own",
                       "  b-lmnopqrstuvw: {nat64-prefix: 64:ff9b::/96}"));
}

TEST(RejectedValue, SourcesOfTheIpv6Address) {
  EXPECT_EQ(report(wan0("ipv6-source: 10.0.0.0/8")),
            one_report(4, 18, "ipv6-source: '10.0.0.0/8': not an IPv6 prefix; expected something like 2001:db8:1::/64",
                       "    ipv6-source: 10.0.0.0/8"));
  EXPECT_EQ(report(wan0("ipv6-source: 2001:db8::/126")),
            one_report(4, 18, "ipv6-source: '2001:db8::/126': a length from /16 to /125 belongs here, like /64",
                       "    ipv6-source: 2001:db8::/126"));
  EXPECT_EQ(report(wan0("ipv6-source: fe80::/64")),
            one_report(4, 18, "ipv6-source: fe80:: is link-local; a global address belongs here",
                       "    ipv6-source: fe80::/64"));
  EXPECT_EQ(report(wan0("ipv6-source: {from: lo}")),
            one_report(4, 25, "from: interface name 'lo' cannot be that of an uplink", "    ipv6-source: {from: lo}"));
}

TEST(RejectedValue, WhatAndroidsClatdCannotDo) {
  const std::string android = "clatd: {dialect: aosp}\n";
  EXPECT_EQ(report("interfaces: {wan0: {nat64-prefix: 2001:db8:64::/64}}\n" + android),
            one_report(2, 18, "dialect: 'aosp' needs NAT64 prefixes of length 96; that of 'wan0' is 2001:db8:64::/64",
                       "clatd: {dialect: aosp}"));
  EXPECT_EQ(report("interfaces: {wan0: {nat64-prefix: 64:ff9b::/96, queues: 2}}\n" + android),
            one_report(2, 18, "dialect: 'aosp' has one queue; 'wan0' wants 2", "clatd: {dialect: aosp}"));
  EXPECT_EQ(report("interfaces: {wan0: {nat64-prefix: 64:ff9b::/96}}\n" + android), "");
}

TEST(RejectedValue, Clatd) {
  expect_below("clatd", {
                            {"path: clatd", "path: 'clatd' is not an absolute path"},
                            {"path: /none/clatd", "path: '/none/clatd' is not an executable file"},
                            {"dialect: android", "dialect: 'android' is not native, aosp or aosp-2019"},
                            {"user: ghost", "user: there is no user 'ghost'"},
                            {"user: root", "user: clatd must not run as root"},
                            {"stop-timeout: 5", "stop-timeout: '5' needs a unit: ms, s, m or h, like 1ms"},
                            {"stop-timeout: 11m", "stop-timeout: '11m' is not from 1ms to 10m"},
                        });
}

// YAML's escapes bring past the check of the file what it may not hold. A NUL would end the text early for libc.
TEST(RejectedValue, ControlCharactersInFreeText) {
  for (const std::string escape : {"\\0", "\\n", "\\t", "\\e", "\\x7f", "\\x9b", "\\N", "\\L", "\\uFEFF"}) {
    SCOPED_TRACE(escape);
    const auto shown = escape == "\\t" ? " " : "?";
    const auto row = [&](const std::string& key, const std::string& text) {
      return Row{key + ": \"" + text + escape + "zzz\"", key + ": '" + text + shown + "zzz' holds control characters"};
    };
    expect_below("clatd", {row("user", "nobody"), row("path", "/opt/bin/clatd")});
    expect_below("log", {row("target", "/var/log/clat")});
    expect_at_top({row("control-socket", "/run/c"), row("state-dir", "/run/s"), row("bpf-dir", "/sys/fs/bpf/c")});
  }
  EXPECT_EQ(report("interfaces:\n  \"wan0\\e\": {nat64-prefix: 64:ff9b::/96}\n"),
            one_report(2, 3, "interface name 'wan0?' may hold printable ASCII only, and no space, '/', ':' or '%'",
                       "  \"wan0\\e\": {nat64-prefix: 64:ff9b::/96}"));
}

TEST(RejectedValue, Restart) {
  struct {
    std::string value;
    unsigned column;
    std::string reason;
  } const rows[] = {
      {"{initial: 0s}", 22, "initial: '0s' is not from 1ms to 1h"},
      {"{initial: 0}", 22, "initial: '0' needs a unit: ms, s, m or h, like 1ms"},
      {"{initial: 2s, max: 1s}", 31, "restart: max 1s is less than initial 2s"},
      {"{max: 1s, initial: 2s}", 31, "restart: max 1s is less than initial 2s"},
      {"{initial: 1m}", 22, "restart: max 30s is less than initial 1m"},
      {"{max: 99ms}", 18, "restart: max 99ms is less than initial 100ms"},
      {"{factor: 0.5}", 21, "factor: '0.5' is not a number from 1 to 100"},
      {"{factor: 1e1}", 21, "factor: '1e1' is not a number from 1 to 100"},
      {"{jitter: 1.5}", 21, "jitter: '1.5' is not a number from 0 to 1"},
      {"{jitter: 20%}", 21, "jitter: '20%' is not a number from 0 to 1"},
      {"{stable-after: forever}", 27,
       "stable-after: 'forever' is not a whole number and one of ms, s, m, h, like 500ms"},
  };
  for (const auto& row : rows) {
    const std::string line = "  restart: " + row.value;
    EXPECT_EQ(report(wan0() + "clatd:\n" + line + "\n"), one_report(5, row.column, row.reason, line));
  }
}

TEST(RejectedValue, Log) {
  expect_below("log",
               {
                   {"level: warning", "level: 'warning' is not debug, info, warn or error; did you mean 'warn'?"},
                   {"format: text", "format: 'text' is not logfmt or json"},
                   {"target: clat.log", "target: 'clat.log' is not stderr, syslog or an absolute path"},
                   {"health-interval: 60", "health-interval: '60' needs a unit: ms, s, m or h, like 10ms"},
               });
}

TEST(RejectedValue, TopLevel) {
  expect_at_top({
      {"ipv4-pool: 192.0.0.4/29", "ipv4-pool: '192.0.0.4/29': the pool has host bits set; did you mean 192.0.0.0/29?"},
      {"ipv4-pool: 2001:db8::/64", "ipv4-pool: '2001:db8::/64' is IPv6; an IPv4 prefix belongs here"},
      {"ipv4-pool: 192.0.0.0", "ipv4-pool: '192.0.0.0': an IPv4 pool needs a length, like 192.0.0.0/29"},
      {"ipv4-pool: 192.0.0.0/33", "ipv4-pool: '192.0.0.0/33': the pool's length is not a number from 8 to 32"},
      {"ipv4-pool: 127.0.0.0/8", "ipv4-pool: '127.0.0.0/8' holds no addresses of hosts"},
      {"ipv4-pool: none", "ipv4-pool: 'none' is not an IPv4 prefix like 192.0.0.0/29"},
      {"audit-interval: 9ms", "audit-interval: '9ms' is not from 10ms to 1h"},
      {"icmp-rate: 100", "icmp-rate: '100' needs a unit: write '100/s'"},
      {"icmp-rate: 0/s", "icmp-rate: '0/s' is not from 1/s to 1000000/s"},
      {"control-socket: control.sock", "control-socket: 'control.sock' is not an absolute path"},
      {"state-dir: ''", "'state-dir' has no value"},
      {"state-dir: run", "state-dir: 'run' is not an absolute path"},
      {"bpf-dir: \"/a\\nb\"", "bpf-dir: '/a?b' holds control characters"},
  });
  for (const std::string key : {"tun: v4-x", "ipv4-address: 192.0.0.4", "ipv6-address: 2001:db8::1"}) {
    const auto name = key.substr(0, key.find(':'));
    EXPECT_TRUE(report(wan0() + "defaults: {" + key + "}\n")
                    .starts_with("f:4:" + std::to_string(14 + name.size()) + ": error: " + name +
                                 ": each interface needs one of its own\n"))
        << report(wan0() + "defaults: {" + key + "}\n");
  }
  EXPECT_EQ(report(wan0() + "  wwan0: {}\n  eth0: {}\ndefaults: {mtu: 5}\n"),
            "f:6:17: error: mtu: '5' is not auto or a whole number from 1280 to 65535\ndefaults: {mtu: 5}\n            "
            "    ^\n");
  EXPECT_TRUE(report(wan0() + "control-socket: {group: nosuch}\n")
                  .starts_with("f:4:25: error: group: there is no group 'nosuch'\n"));
  const std::string line = "control-socket: /" + std::string(107, 'x');
  EXPECT_EQ(report(wan0() + line.substr(0, line.size() - 1) + "\n"), "");
  EXPECT_TRUE(report(wan0() + line + "\n")
                  .starts_with("f:4:17: error: control-socket: the path of a socket is at most 107 bytes long\n"));
}

TEST(RejectedValue, TheMachineLacksClatdOrItsUser) {
  Surroundings bare = paper_machine();
  bare.is_executable = [](const std::string&) { return false; };
  bare.find_user = [](const std::string&) { return std::optional<Account>(); };
  EXPECT_EQ(report(wan0(), bare),
            "f:1:1: error: path: clatd not found at '/opt/bin/clatd' or '/opt/libexec/clatvisor/clatd'; name it as "
            "clatd: {path: /...}\n"
            "interfaces:\n"
            "^\n"
            "f:1:1: error: user: there is no user 'nobody'\n"
            "interfaces:\n"
            "^\n");
  EXPECT_TRUE(report(wan0() + "clatd: {path: auto}\n", bare).starts_with("f:1:1: error: user: "));
}

TEST(RejectedValue, Hooks) {
  expect_in_interface({
      {"on-up: /etc/hook", "'on-up' takes a list, but here is a single value"},
      {"on-down: {run: /etc/hook}", "'on-down' takes a list, but here is keys and values"},
  });
  const auto expect = [](const std::string& line, unsigned column, const std::string& reason) {
    EXPECT_EQ(report(wan0(line)), one_report(4, column, reason, "    " + line));
  };
  expect("on-up: [hook]", 13, "on-up: 'hook' is not an absolute path");
  expect("on-down: [/hook, []]", 22, "'on-down' takes a single value, but here is a list");
  std::string many = "on-up: [/hook";
  for (int i = 0; i < 64; ++i) many += ", x";
  EXPECT_TRUE(report(wan0(many + "]")).starts_with("f:4:12: error: on-up: a hook takes at most 63 arguments\n"));
}

// When it is asked for, what lies there now counts, too.
TEST(RejectedValue, HooksThatOthersCouldChange) {
  auto surroundings = paper_machine();
  surroundings.check_hook = [](const std::string& path) -> Result<> {
    return path == "/good" ? Result<>() : failure(path + " is writable by others", EPERM);
  };
  EXPECT_EQ(report(wan0("on-up: [/good]"), surroundings), "");
  EXPECT_EQ(report(wan0("on-up: [/bad]"), surroundings),
            one_report(4, 13, "on-up: /bad is writable by others: Operation not permitted", "    on-up: [/bad]"));
}

TEST(RejectedValue, Probe) {
  expect_in_interface({
      {"probe: true", "probe: 'true' is not false or {address: ADDRESS}"},
      {"probe: [192.0.0.170]", "probe: a list is not false or {address: ADDRESS}"},
      {"probe: {interval: 5s}", "probe: the address that is to answer is missing"},
  });
  const auto expect = [](const std::string& line, unsigned column, const std::string& reason) {
    EXPECT_EQ(report(wan0(line)), one_report(4, column, reason, "    " + line));
  };
  expect("probe: {address: host}", 22, "address: 'host' is not an IPv4 address like 192.0.0.170");
  expect("probe: {address: 224.0.0.1}", 22, "address: 224.0.0.1 cannot be the address of a host");
  expect("probe: {address: 192.0.0.170, interval: 999ms}", 45, "interval: '999ms' is not from 1s to 1h");
}

}  // namespace
}  // namespace clat::config
