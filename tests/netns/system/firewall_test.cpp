// The host's own firewall as nftables tells it, and what it does to a CLAT.
#include <net/if.h>

#include "namespace_fixture.hpp"
#include "supervisor/system/host_firewall.hpp"
#include "supervisor/system/interface_name.hpp"

namespace clat::system {
namespace {

using test::ok;
using test::run;

class FirewallTest : public test::TunOfUp0Test {
 protected:
  static void load(const std::string& rules) { run("echo '" + rules + "' | nft -f -"); }
  model::Firewall look(model::Leg leg = model::Leg::routed) {
    const auto host = firewall_.read();
    return host ? HostFirewall::look(*host, announce(tun_, leg), interface_name(tun_))
                : model::Firewall{"unknown", "unknown"};
  }
  // Of `rules` in a chain with this policy.
  std::string drops(const std::string& rules, const std::string& policy = "drop") {
    run("nft flush ruleset");
    load(
        "table inet t {\n"
        "set lans { type ifname; elements = { \"lan0\" }; }\n"
        "set some_protocols { type inet_proto; flags timeout; elements = { tcp }; }\n"
        "chain nothing { counter; }\nchain some { ip6 daddr != ::1 accept; }\nchain everything { accept; }\n"
        "chain f { type filter hook forward priority 0; policy " +
        policy + ";\n" + rules + "\n}\n}");
    return look().drops_clat;
  }

  HostFirewall firewall_{Sysctl{}};
};

TEST_F(FirewallTest, NoneDropsNothing) { EXPECT_EQ(look(), model::Firewall{}); }

TEST_F(FirewallTest, APolicyThatNoRuleMitigatesDrops) {
  for (const char* rules : {
           "",
           "counter; log",
           "iifname \"lan0\" accept",
           "iifname != \"v4-up0\" oifname != \"v4-up0\" accept",
           "iif lo accept",
           "oifname \"docker*\" accept",
           "iifname \"v4-*\" oifname \"wan*\" accept",
           "ct state established,related accept",  // nothing begins, then
           "meta nfproto ipv4 accept",
           "iifname \"v4-up0\" accept",  // one way
           "jump nothing",
           "goto nothing; accept",
           "return; accept",
           "drop; accept",
           "iifname { \"lan0\", \"eth0\" } accept",
           "iifname != { \"v4-up0\", \"up0\" } accept",
           "iifname @lans accept",
           "iifname vmap { \"lan0\" : accept, \"eth0\" : jump everything }",
           "iifname vmap { \"v4-up0\" : drop, \"up0\" : accept }; accept",
           "iifname vmap { \"v4-up0\" : goto nothing, \"up0\" : accept }; accept",
           "ct state { established, related } accept",
           "ct state vmap { established : accept, related : accept, invalid : drop }",
           "ct status dnat accept",
           "meta l4proto ipv6-icmp accept",  // pings alone
           "meta l4proto { icmp, ipv6-icmp, esp } accept",
       }) {
    EXPECT_EQ(drops(rules), "inet t f") << rules;
  }
}

TEST_F(FirewallTest, WhatMayLetItThroughIsBelieved) {
  for (const char* rules : {
           "accept",
           "iifname \"v4-*\" accept; oifname \"v4-up0\" accept",
           "iifname \"v4-up0\" accept; ct state established accept",
           "meta nfproto ipv6 accept",
           "ip6 saddr 2001:db8::/32 accept; ip6 daddr 2001:db8::/32 accept",
           "iifname { \"lan0\", \"up0\", \"v4-up0\" } accept",
           "iifname vmap { \"v4-up0\" : accept, \"up0\" : accept }",
           "limit rate 10/second accept",
           "jump some; drop",
           "goto everything; drop",
           "iifname vmap { \"v4-up0\" : jump everything, \"up0\" : accept }; drop",
           "iifname { \"v4-*\", \"u*\" } accept",  // ranges
           "iifname . oifname { \"v4-up0\" . \"up0\", \"up0\" . \"v4-up0\" } accept",
           "ct state vmap { new : accept, established : accept, * : drop }",
           "ct state != { invalid, untracked } accept",
           "meta l4proto tcp accept",
           "meta l4proto { udp, ipv6-icmp } accept",
           "ip6 nexthdr @some_protocols accept",
       }) {
    EXPECT_EQ(drops(rules), "") << rules;
  }
}

TEST_F(FirewallTest, ARuleForAllDropsAsAPolicyDoes) {
  EXPECT_EQ(drops("drop", "accept"), "inet t f");
  EXPECT_EQ(drops("iifname \"lan0\" accept; reject", "accept"), "inet t f");
  EXPECT_EQ(drops("ct state new iifname \"v4-up0\" reject with icmpx admin-prohibited", "accept"), "inet t f");
  EXPECT_EQ(drops("tcp dport 25 drop", "accept"), "");
  EXPECT_EQ(drops("iifname \"lan0\" drop", "accept"), "");
}

// As iptables-nft, and so Docker, makes it.
TEST_F(FirewallTest, EachTableHasItsSay) {
  run("echo 1 > /proc/sys/net/ipv4/ip_forward");
  load(
      "table ip6 filter { chain FORWARD { type filter hook forward priority 0; policy drop; oifname docker0 accept; }; "
      "};"
      "table inet fine { chain f { type filter hook forward priority 0; policy accept; }; }");
  EXPECT_EQ(look(), (model::Firewall{"ip6 filter FORWARD", ""}));
  load("table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }");
  EXPECT_EQ(look(), (model::Firewall{"ip6 filter FORWARD", "ip filter FORWARD"}));
  EXPECT_EQ(look(model::Leg::fast), (model::Firewall{"", "ip filter FORWARD"}));
  run("nft add rule ip filter FORWARD iifname lan0 accept");
  EXPECT_EQ(look().drops_lan, "") << "what comes from there gets through";
  run("nft flush chain ip filter FORWARD; echo 0 > /proc/sys/net/ipv4/ip_forward");
  EXPECT_EQ(look().drops_lan, "") << "nobody is served";
  run("nft add rule ip6 filter FORWARD accept");
  EXPECT_EQ(look(), model::Firewall{});
}

TEST_F(FirewallTest, ALanIsBlockedWhenNoneGetsThrough) {
  run("echo 1 > /proc/sys/net/ipv4/ip_forward");
  for (const char* link : {"lan0", "docker0", "idle0"}) {
    run("ip link add " + std::string(link) + " type veth peer name to-" + link + "; ip link set to-" + link + " up");
  }
  run("ip link set lan0 up; ip address add 192.168.7.1/24 dev lan0 label lan0:1; ip address add 172.17.0.1/16 dev "
      "idle0; "
      "ip address add 172.18.0.1/16 dev docker0");
  const auto drops_lan = [&](const std::string& rules) {
    run("nft flush ruleset");
    load("table ip t { chain f { type filter hook forward priority 0; policy drop;\n" + rules + "\n}\n}");
    return look(model::Leg::fast).drops_lan;
  };
  EXPECT_EQ(drops_lan("iifname \"lan0\" accept"), "");
  EXPECT_EQ(drops_lan("iifname { \"lan0\", \"lan1\" } oifname \"v4-*\" accept"), "");
  EXPECT_EQ(drops_lan("ip saddr 192.168.7.0/24 accept"), "");
  for (const char* rules : {"iifname \"lan0\" drop; accept", "iifname \"docker0\" accept", "iifname \"idle0\" accept",
                            "iif lo accept", "iifname lo accept", "iifname \"v4-up0\" accept"}) {
    EXPECT_EQ(drops_lan(rules), "ip t f") << rules;
  }
  run("ip link set docker0 up");
  EXPECT_EQ(drops_lan("iifname \"docker0\" accept"), "") << "one is served";
}

TEST_F(FirewallTest, OtherHooksAreNoMatter) {
  load(
      "table inet t { chain i { type filter hook input priority 0; policy drop; };"
      "chain o { type filter hook output priority 0; policy drop; }; }");
  EXPECT_EQ(look(), model::Firewall{});
}

}  // namespace
}  // namespace clat::system
