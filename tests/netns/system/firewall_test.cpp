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

TEST_F(FirewallTest, OtherHooksAreNoMatter) {
  load(
      "table inet t { chain i { type filter hook input priority 0; policy drop; };"
      "chain o { type filter hook output priority 0; policy drop; }; }");
  EXPECT_EQ(look(), model::Firewall{});
}

}  // namespace
}  // namespace clat::system
