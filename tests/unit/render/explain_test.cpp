#include "supervisor/render/explain.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "statuses.hpp"

namespace clat::render {
namespace {

using namespace model;
using test::up;
using test::waiting;

TEST(Explain, HasLittleToSayOfWhatWorks) {
  EXPECT_EQ(explain(up(), Paint::no), "wan0 is up for 3h12m, by tcx: nothing is amiss.\n");
}

TEST(Explain, SaysWhatIsMissingAndWhatToDo) {
  EXPECT_EQ(explain(waiting(), Paint::no),
            "wwan0 is waiting for 7s:\n"
            "  no carrier. (no-carrier)\n"
            "    Look at the cable, the modem and the other end.\n");
}

// Every reason has words of its own, and says what to do.
TEST(Explain, KnowsEveryReason) {
  for (int why = 0; why <= static_cast<int>(Why::failure); ++why) {
    auto status = waiting();
    status.obstacle = Reason{static_cast<Why>(why), "64:ff9b::/96", Error{"it broke", 0}, {}};
    const auto found = findings(status);
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found.front().weight, Finding::Weight::down);
    EXPECT_EQ(found.front().code, code(static_cast<Why>(why)));
    EXPECT_FALSE(found.front().next.empty()) << found.front().code;
    EXPECT_GT(found.front().text.size(), 3U) << found.front().code;
  }
}

TEST(Explain, OfNoRouteNamesTheCommand) {
  auto status = waiting();
  status.obstacle = Reason{Why::no_route, "64:ff9b::/96", {}, {}};
  EXPECT_NE(explain(status, Paint::no).find("`ip -6 route get 64:ff9b:: oif wwan0`"), std::string::npos)
      << explain(status, Paint::no);
}

TEST(Explain, NamesWhatMakesItSlow) {
  auto status = up();
  status.fast_path.clear();
  status.no_fast_path = Error{"mount bpffs", 2};
  const auto found = findings(status);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "no-fast-path");
  EXPECT_EQ(found[0].weight, Finding::Weight::slow);
  EXPECT_NE(found[0].text.find("mount bpffs: No such file or directory"), std::string::npos) << found[0].text;
  status.fast_path_is_off = true;
  EXPECT_EQ(findings(status)[0].code, "fast-path-off");
}

TEST(Explain, NamesWhatIsMappedOneToOne) {
  auto status = up();
  status.ranges = {RangeMapping::parse("192.168.1.0/24=2001:db8:1:c1a7::/96").value(),
                   RangeMapping::parse("10.0.0.0/8=2001:db8:1:c1a8::/64").value()};
  EXPECT_EQ(explain(status, Paint::no),
            "wan0 is up for 3h12m, by tcx:\n"
            "  Hosts are mapped one to one: 192.168.1.0/24 in 2001:db8:1:c1a7::/96. (one-to-one)\n"
            "  Hosts are mapped one to one: 10.0.0.0/8 in 2001:db8:1:c1a8::/64. (one-to-one)\n");
}

TEST(Explain, NamesWhatIsOddThoughItWorks) {
  auto status = up();
  status.route_is_taken = true;
  status.firewall.drops_lan = "ip filter FORWARD";
  status.no_bpf_filter = Error{"no BPF", 1};
  status.child.ends = 5;
  status.child.ends_within = std::chrono::seconds(90);
  status.child.last_end = Killed{9};
  status.child.next_start_in = std::chrono::seconds(30);
  std::string codes;
  for (const auto& each : findings(status)) codes += each.code + " ";
  EXPECT_EQ(codes, "clatd-flapping filter-by-nftables route-taken firewall-lan ");
  EXPECT_NE(explain(status, Paint::no)
                .find("clatd ended 5 times within 1m30s, the last with SIGKILL; the next start is in 30s."),
            std::string::npos)
      << explain(status, Paint::no);
}

TEST(Explain, TellsOfPingsThatAreNotAnswered) {
  auto status = up();
  status.probe = ProbeStatus{*Ipv4Address::parse("192.0.0.170"), 0};
  EXPECT_TRUE(findings(status).empty());
  status.probe->failures = 2;
  ASSERT_EQ(findings(status).size(), 1U);
  EXPECT_EQ(findings(status)[0].text, "The last 2 pings to 192.0.0.170 were not answered.");
  status.probe->failures = 3;
  status.state = State::waiting;
  status.obstacle = Reason{Why::nat64_silent, "192.0.0.170", {}, {}};
  ASSERT_EQ(findings(status).size(), 1U);
  EXPECT_EQ(findings(status)[0].code, "probe");
  EXPECT_NE(findings(status)[0].next.find("`ping -I v4-wan0 192.0.0.170`"), std::string::npos);
}

TEST(Explain, TellsOfHooks) {
  auto status = up();
  status.hook = HookStatus{.path = "/up", .up = true};
  EXPECT_TRUE(findings(status).empty());
  const auto failure = HookFailure{.path = "/up", .up = true, .end = Exited{3}, .line = "no such zone"};
  status.hook->failure = failure;
  EXPECT_EQ(explain(status, Paint::no),
            "wan0 is up for 3h12m, by tcx:\n"
            "  on-up /up failed: status 3; its last words: no such zone (hook-failed)\n"
            "    It is run again when the state changes.\n");
  status.hook->failure->refused = true;
  status.hook->failure->end = NeverStarted{Error{"/up belongs to uid 7", EPERM}};
  EXPECT_EQ(findings(status)[0].code, "hook-refused");
  status.hook = HookStatus{.path = "/down", .up = false, .runs_for = std::chrono::seconds(12)};
  EXPECT_EQ(findings(status)[0].text, "on-down /down runs for 12s.");
}

TEST(Explain, SaysWhatShapesDownloads) {
  auto status = up();
  status.shaping.device = "ifb4wan0";
  EXPECT_EQ(explain(status, Paint::no),
            "wan0 is up for 3h12m, by tcx:\n  Shaped uplink: downloads follow ifb4wan0. (shaped)\n");
  status.shaping.other = bpf::OtherFilter{"u32", 5};
  EXPECT_EQ(findings(status)[0].code, "unshaped");
  status.shaping.device.clear();
  for (const auto why : {Unshaped::off, Unshaped::other_filter, Unshaped::no_ifb, Unshaped::ifb_down}) {
    status.shaping.why = why;
    ASSERT_EQ(findings(status).size(), 1U) << name(why);
    EXPECT_TRUE(findings(status)[0].text.starts_with("Downloads through the CLAT are not shaped: ")) << name(why);
    EXPECT_EQ(findings(status)[0].weight, Finding::Weight::note);
  }
  status.shaping = {.why = Unshaped::failure, .error = Error{"no tc", 0}};
  EXPECT_EQ(findings(status)[0].text, "Downloads through the CLAT are not shaped: no tc.");
  for (const auto why : {Unshaped::no_redirect, Unshaped::by_uplink}) {
    status.shaping = {.why = why};
    EXPECT_TRUE(findings(status).empty()) << name(why);
  }
}

TEST(Explain, TellsOfAConfigThatWasRefused) {
  auto status = test::all();
  status.refused = ConfigRejected{.file = "f", .line = 3, .column = 1, .reason = "wan0: no such key"};
  EXPECT_TRUE(
      explain(status, Paint::no).starts_with("clatvisor:\n  The config file was refused at the last reload, line 3: "))
      << explain(status, Paint::no);
}

}  // namespace
}  // namespace clat::render
