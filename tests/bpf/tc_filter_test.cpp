// Filters of a clsact qdisc as netlink tells them, and where ours belongs among them. Needs no kernel.
#include "bpf/tc_filter.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_ctinfo.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_skbedit.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "bpf/filter_row.hpp"

namespace clat::bpf {
namespace {

using Bytes = std::vector<std::byte>;

template <class Value>
Bytes bytes_of(const Value& value) {
  Bytes bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}
Bytes text(const std::string& value) {
  Bytes bytes(value.size() + 1);
  std::memcpy(bytes.data(), value.c_str(), bytes.size());
  return bytes;
}
Bytes operator+(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}
Bytes attribute(int type, const Bytes& value) {
  nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), static_cast<std::uint16_t>(type)};
  auto all = bytes_of(header) + value;
  all.resize((all.size() + 3) / 4 * 4);
  return all;
}

Bytes message(const std::string& kind, const Bytes& rest, std::uint16_t pref = 1, std::uint16_t protocol = ETH_P_ALL,
              std::uint32_t handle = 1) {
  tcmsg header{};
  header.tcm_handle = handle;
  header.tcm_info = static_cast<std::uint32_t>(pref) << 16 | htons(protocol);
  return bytes_of(header) + attribute(TCA_KIND, text(kind)) + rest;
}
Bytes options(const Bytes& value) { return attribute(TCA_OPTIONS, value); }

Bytes action(const char* kind, const Bytes& value) {
  return attribute(1, attribute(TCA_ACT_KIND, text(kind)) + attribute(TCA_ACT_OPTIONS | NLA_F_NESTED, value));
}
Bytes gact(int verdict) {
  tc_gact parms{};
  parms.action = verdict;
  return action("gact", attribute(TCA_GACT_PARMS, bytes_of(parms)));
}
Bytes mirred(int does, int verdict) {
  tc_mirred parms{};
  parms.action = verdict;
  parms.eaction = does;
  parms.ifindex = 7;
  return action("mirred", attribute(TCA_MIRRED_TM, Bytes(32)) + attribute(TCA_MIRRED_PARMS, bytes_of(parms)));
}
const Bytes kRedirect = mirred(TCA_EGRESS_REDIR, TC_ACT_STOLEN);

Bytes ctinfo(int verdict, const Bytes& more = {}) {
  tc_ctinfo parms{};
  parms.action = verdict;
  return action("ctinfo", attribute(TCA_CTINFO_ACT, bytes_of(parms)) + more);
}

Bytes u32(std::uint8_t flags, std::initializer_list<std::uint32_t> masks) {
  tc_u32_sel head{};
  head.flags = flags;
  head.nkeys = static_cast<std::uint8_t>(masks.size());
  Bytes selector = bytes_of(head);
  for (const auto mask : masks)
    selector = selector + bytes_of(tc_u32_key{.mask = mask, .val = 0, .off = 0, .offmask = 0});
  return attribute(TCA_U32_SEL, selector);
}

Bytes ematches(std::uint16_t count) {
  const tcf_ematch_tree_hdr header{.nmatches = count, .progid = 0};
  return attribute(TCA_BASIC_EMATCHES, attribute(TCA_EMATCH_TREE_HDR, bytes_of(header)));
}

bool takes_all(const std::string& kind, const Bytes& value, std::uint32_t handle = 0x80000800) {
  const auto filter = parse_filter(message(kind, options(value), 1, ETH_P_ALL, handle));
  return filter && filter->takes_all;
}
bool takes_all(const Bytes& actions) { return takes_all("matchall", attribute(TCA_MATCHALL_ACT, actions)); }

TEST(ParseFilter, SaysWhatStandsWhere) {
  const auto bpf = parse_filter(
      message("bpf",
              attribute(TCA_CHAIN, bytes_of(std::uint32_t{3})) +
                  options(attribute(TCA_BPF_NAME, text("clat_tun_in")) + attribute(TCA_BPF_ID, bytes_of(77U))),
              4, ETH_P_IPV6, 0x464));
  EXPECT_EQ(bpf, (TcFilter{.handle = 0x464,
                           .chain = 3,
                           .pref = 4,
                           .protocol = ETH_P_IPV6,
                           .kind = "bpf",
                           .program = "clat_tun_in",
                           .program_id = 77,
                           .takes_all = false,
                           .redirect = {},
                           .is_complete = true}));
}

TEST(ParseFilter, OfWhatMatchesAll) {
  const auto with = [](int type) { return attribute(type, kRedirect); };
  EXPECT_TRUE(takes_all("matchall", with(TCA_MATCHALL_ACT)));
  EXPECT_TRUE(takes_all("flower", with(TCA_FLOWER_ACT)));
  EXPECT_TRUE(
      takes_all("flower", with(TCA_FLOWER_ACT) + attribute(TCA_FLOWER_KEY_ETH_TYPE, bytes_of(htons(ETH_P_IPV6)))));
  EXPECT_TRUE(takes_all("basic", with(TCA_BASIC_ACT)));
  EXPECT_TRUE(takes_all("basic", with(TCA_BASIC_ACT) + ematches(0))) << "as the kernel says it";
  EXPECT_TRUE(takes_all("u32", u32(TC_U32_TERMINAL, {0}) + with(TCA_U32_ACT)));
  EXPECT_TRUE(takes_all("u32", u32(TC_U32_TERMINAL, {0, 0}) + with(TCA_U32_ACT)));
  EXPECT_TRUE(takes_all("u32", u32(TC_U32_TERMINAL, {}) + with(TCA_U32_ACT)));
}

TEST(ParseFilter, OfWhatLeavesSomethingOut) {
  const auto with = [](int type) { return attribute(type, kRedirect); };
  EXPECT_FALSE(takes_all("flower", with(TCA_FLOWER_ACT) + attribute(TCA_FLOWER_KEY_IP_PROTO, Bytes(1))));
  EXPECT_FALSE(takes_all("basic", with(TCA_BASIC_ACT) + ematches(1)));
  EXPECT_FALSE(takes_all("basic", with(TCA_BASIC_ACT) + attribute(TCA_BASIC_EMATCHES, {})));
  EXPECT_FALSE(takes_all("u32", u32(TC_U32_TERMINAL, {0, 0xff}) + with(TCA_U32_ACT)));
  EXPECT_FALSE(takes_all("u32", u32(0, {0}) + with(TCA_U32_ACT))) << "goes on to the next";
  EXPECT_FALSE(takes_all("u32", u32(TC_U32_TERMINAL, {0}) + with(TCA_U32_ACT) + attribute(TCA_U32_LINK, Bytes(4))));
  EXPECT_FALSE(takes_all("u32", u32(TC_U32_TERMINAL, {0}) + with(TCA_U32_ACT), 0x00100800)) << "in a table of its own";
  EXPECT_FALSE(takes_all("u32", attribute(TCA_U32_DIVISOR, Bytes(4)))) << "a table";
  EXPECT_FALSE(takes_all("bpf", with(TCA_BPF_ACT))) << "nobody can tell";
  const auto in_hardware = attribute(TCA_MATCHALL_FLAGS, bytes_of<std::uint32_t>(TCA_CLS_FLAGS_SKIP_SW));
  EXPECT_FALSE(takes_all("matchall", with(TCA_MATCHALL_ACT) + in_hardware));
  const auto only_told = parse_filter(message("matchall", {}));
  EXPECT_TRUE(only_told && !only_told->takes_all);
}

// Of a matchall filter with these actions.
std::optional<Redirect> redirect_by(const Bytes& actions) {
  return parse_filter(message("matchall", options(attribute(TCA_MATCHALL_ACT, actions))))->redirect;
}

TEST(ParseFilter, OfWhatRedirectsAll) {
  const auto every = u32(TC_U32_TERMINAL, {0}) + attribute(TCA_U32_ACT, kRedirect);
  const auto by_u32 = parse_filter(message("u32", options(every), 10, ETH_P_ALL, 0x80000800));
  EXPECT_EQ(by_u32->redirect, (Redirect{.kind = "u32", .device = 7})) << "as sqm-scripts do";
  EXPECT_EQ(redirect_by(kRedirect), (Redirect{.kind = "matchall", .device = 7}));
  const auto flower = parse_filter(message("flower", options(attribute(TCA_FLOWER_ACT, kRedirect))));
  EXPECT_EQ(flower->redirect, (Redirect{.kind = "flower", .device = 7}));
  const auto some = u32(TC_U32_TERMINAL, {0xff}) + attribute(TCA_U32_ACT, kRedirect);
  EXPECT_FALSE(parse_filter(message("u32", options(some), 10, ETH_P_ALL, 0x80000800))->redirect);
}

TEST(ParseFilter, OfWhatIsDoneBeforeTheRedirect) {
  const auto parms = attribute(TCA_CTINFO_ZONE, bytes_of(std::uint16_t{3})) +
                     attribute(TCA_CTINFO_PARMS_DSCP_MASK, bytes_of(63U)) +
                     attribute(TCA_CTINFO_PARMS_DSCP_STATEMASK, bytes_of(128U));
  EXPECT_EQ(redirect_by(ctinfo(TC_ACT_PIPE, parms) + kRedirect),
            (Redirect{.kind = "matchall",
                      .device = 7,
                      .ctinfo = CtInfo{.zone = 3, .dscp_mask = 63, .dscp_state_mask = 128, .mark_mask = 0}}));
  const auto mark = attribute(TCA_CTINFO_PARMS_CPMARK_MASK, bytes_of(0xffU));
  EXPECT_EQ(redirect_by(ctinfo(TC_ACT_PIPE, mark) + kRedirect)->ctinfo, (CtInfo{.mark_mask = 0xff}));
  EXPECT_EQ(redirect_by(ctinfo(TC_ACT_PIPE, attribute(TCA_CTINFO_ZONE, Bytes(1))) + kRedirect)->ctinfo, CtInfo{})
      << "cut off";
}

TEST(ParseFilter, OfWhatNoCopyIsMade) {
  EXPECT_FALSE(redirect_by({}));
  EXPECT_FALSE(redirect_by(gact(TC_ACT_OK)));
  EXPECT_FALSE(redirect_by(mirred(TCA_EGRESS_MIRROR, TC_ACT_STOLEN)));
  EXPECT_FALSE(redirect_by(mirred(TCA_INGRESS_REDIR, TC_ACT_STOLEN)));
  EXPECT_FALSE(redirect_by(action("connmark", {}) + kRedirect));
  EXPECT_FALSE(redirect_by(ctinfo(TC_ACT_OK) + kRedirect)) << "it ends there";
  EXPECT_FALSE(redirect_by(ctinfo(TC_ACT_PIPE) + ctinfo(TC_ACT_PIPE) + kRedirect));
  EXPECT_FALSE(redirect_by(ctinfo(TC_ACT_PIPE)));
  EXPECT_FALSE(redirect_by(action("mirred", attribute(TCA_MIRRED_PARMS, Bytes(sizeof(tc_mirred) - 1)))));
}

TcFilter filter_of(const std::string& kind, std::uint16_t pref, std::uint16_t protocol = ETH_P_ALL) {
  return {.pref = pref, .protocol = protocol, .kind = kind, .is_complete = true};
}
TcFilter redirecting(std::uint16_t pref, int device, std::uint16_t protocol = ETH_P_ALL) {
  auto filter = filter_of("u32", pref, protocol);
  filter.takes_all = true;
  filter.redirect = Redirect{.kind = "u32", .device = device};
  return filter;
}
Ingress ingress_of(std::initializer_list<TcFilter> filters) {
  Ingress ingress;
  for (const auto& each : filters) add_to(ingress, each);
  return ingress;
}

TEST(IngressFilters, TheFirstThatTakesAllCounts) {
  EXPECT_EQ(ingress_of({}), Ingress{});
  EXPECT_EQ(ingress_of({redirecting(10, 7), redirecting(11, 8)}).redirect->device, 7);
  auto pass = filter_of("matchall", 5);
  pass.takes_all = true;
  const auto passed = ingress_of({pass, redirecting(10, 7)});
  EXPECT_FALSE(passed.redirect);
  EXPECT_EQ(passed.other, (OtherFilter{"matchall", 5}));
}

TEST(IngressFilters, OthersAreNotedWhereTheySeeIpv6) {
  auto ours = filter_of("bpf", 1);
  ours.program = "clat_uplink_in";
  auto in_a_chain = filter_of("u32", 2);
  in_a_chain.chain = 3;
  auto table = filter_of("u32", 3);
  table.is_complete = false;
  const auto shaped = ingress_of({ours, in_a_chain, table, filter_of("u32", 4, ETH_P_IP), redirecting(10, 7)});
  EXPECT_EQ(shaped.redirect->device, 7);
  EXPECT_FALSE(shaped.other);
  EXPECT_EQ(ingress_of({ours, in_a_chain, table}), Ingress{}) << "nothing that matters";
  EXPECT_FALSE(ingress_of({redirecting(10, 7, ETH_P_IP)}).redirect) << "of another family";
  EXPECT_EQ(ingress_of({redirecting(10, 7, ETH_P_IPV6)}).redirect->device, 7);
  const auto both = ingress_of({filter_of("u32", 6, ETH_P_IPV6), filter_of("bpf", 7), redirecting(10, 7)});
  EXPECT_EQ(both.other, (OtherFilter{"u32", 6}));
  EXPECT_EQ(both.redirect->device, 7);
  EXPECT_FALSE(ingress_of({redirecting(10, 7), filter_of("bpf", 12)}).other) << "no packet gets there";
}

TEST(ParseFilter, ByWhatItsActionsDo) {
  EXPECT_TRUE(takes_all(Bytes{})) << "it passes";
  EXPECT_TRUE(takes_all(gact(TC_ACT_OK)));
  EXPECT_TRUE(takes_all(gact(TC_ACT_PIPE))) << "and there is no next action";
  EXPECT_TRUE(takes_all(mirred(TCA_EGRESS_MIRROR, TC_ACT_PIPE)));
  EXPECT_TRUE(takes_all(mirred(TCA_INGRESS_REDIR, TC_ACT_STOLEN)));
  EXPECT_TRUE(takes_all(action("connmark", {}) + kRedirect));
  EXPECT_TRUE(takes_all(gact(TC_ACT_GOTO_CHAIN | 5)));
  EXPECT_FALSE(takes_all(gact(TC_ACT_UNSPEC)));
  EXPECT_FALSE(takes_all(mirred(TCA_EGRESS_MIRROR, TC_ACT_UNSPEC)));
  EXPECT_FALSE(takes_all(gact(TC_ACT_SHOT))) << "is a wall, by somebody's will";
  EXPECT_FALSE(takes_all(mirred(TCA_EGRESS_MIRROR, TC_ACT_PIPE) + gact(TC_ACT_SHOT)));
  tc_skbedit pipe{};
  pipe.action = TC_ACT_PIPE;
  EXPECT_FALSE(takes_all(action("skbedit", attribute(TCA_SKBEDIT_PARMS, bytes_of(pipe))) + gact(TC_ACT_UNSPEC)));
  EXPECT_FALSE(takes_all(action("police", attribute(TCA_POLICE_RESULT, bytes_of<std::int32_t>(TC_ACT_UNSPEC)))));
  EXPECT_TRUE(takes_all(action("police", {})));
}

TEST(ParseFilter, OfWhatIsCutOffOrLies) {
  const auto whole = message("u32", options(u32(TC_U32_TERMINAL, {0, 0, 0}) + attribute(TCA_U32_ACT, kRedirect)));
  ASSERT_TRUE(parse_filter(whole).has_value());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A block of its own: one byte too far is seen by the sanitizer.
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    (void)parse_filter(part);
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int value : {0x00, 0x03, 0x7f, 0xff}) {
      auto bent = whole;
      bent[i] = static_cast<std::byte>(value);
      (void)parse_filter(bent);
    }
  }
  EXPECT_FALSE(parse_filter(Bytes(sizeof(tcmsg))).has_value()) << "has no kind";
  tc_u32_sel many{};
  many.flags = TC_U32_TERMINAL;
  many.nkeys = 200;
  EXPECT_FALSE(takes_all("u32", attribute(TCA_U32_SEL, bytes_of(many)) + attribute(TCA_U32_ACT, kRedirect)));
}

constexpr MustSee kIpv6{.ipv6 = true};
constexpr MustSee kBoth{.ipv4 = true, .ipv6 = true};

TcFilter ours(std::uint16_t pref, std::uint32_t program = 5) {
  return {.handle = kOurHandle,
          .pref = pref,
          .protocol = ETH_P_ALL,
          .kind = "bpf",
          .program = "clat_uplink_in",
          .program_id = program};
}
TcFilter taker(std::uint16_t pref, std::uint16_t protocol = ETH_P_ALL) {
  return {.handle = 1, .pref = pref, .protocol = protocol, .kind = "matchall", .takes_all = true};
}
TcFilter some(std::uint16_t pref) { return {.handle = 1, .pref = pref, .protocol = ETH_P_ALL, .kind = "flower"}; }

struct Case {
  const char* what;
  std::vector<TcFilter> filters;
  int place;  // 0: none
  MustSee must_see = kIpv6;
};

TEST(FilterRow, SaysWhereOursBelongs) {
  auto other_chain = taker(1);
  other_chain.chain = 2;
  auto beside = ours(3);
  beside.handle = 1;
  beside.program = "foreign";
  const std::vector<Case> cases{
      {"alone", {}, 4},
      {"behind it nothing matters", {taker(5), taker(10)}, 4},
      {"in front", {taker(4)}, 3},
      {"in front of the first", {taker(2), taker(4)}, 1},
      {"no place", {taker(1)}, 0},
      {"beside what takes little", {some(2), some(4)}, 3},
      {"no place between", {some(1), taker(2)}, 0},
      {"all taken", {some(1), some(2), some(3), some(4)}, 0},
      {"of one pref with another's program", {beside, taker(4)}, 3},
      {"packets do not come by there", {other_chain}, 4},
      {"other packets", {taker(1, ETH_P_IP), taker(2, ETH_P_ARP)}, 4},
      {"which matter elsewhere", {taker(2, ETH_P_IP)}, 1, kBoth},
      {"nothing matters", {taker(1)}, 4, {}},
      {"it stays where it is", {ours(2)}, 2},
      {"or moves", {taker(3), ours(4)}, 2},
      {"the first of two stays", {ours(1), taker(2), ours(4)}, 1},
  };
  for (const auto& [what, filters, place, must_see] : cases) {
    FilterRow row;
    for (const auto& filter : filters) row.add(filter);
    const auto found = row.place(must_see);
    EXPECT_EQ(found.value_or(0), place) << what;
    EXPECT_EQ(found ? 0 : found.error().code, found ? 0 : EBUSY) << what;
  }
}

TEST(FilterRow, SaysWhoIsInTheWay) {
  FilterRow row;
  row.add(some(1));
  row.add(taker(2));
  EXPECT_EQ(row.place(kIpv6).error().what,
            "the matchall filter of pref 2 takes every packet before ours, and no pref in front of it is free");
  row.add(ours(4));
  EXPECT_EQ(row.verify(5, kIpv6).error().text(), "the matchall filter of pref 2 takes every packet before ours");
  FilterRow taken;
  auto stranger = ours(4);
  stranger.program = "foreign";
  taken.add(stranger);
  EXPECT_EQ(taken.place(kIpv6).error().what, "our place for a clsact filter is taken by foreign");
  EXPECT_EQ(taken.ours(), std::vector<std::uint16_t>{});
}

TEST(FilterRow, KnowsOurs) {
  FilterRow row;
  EXPECT_TRUE(row.empty());
  EXPECT_EQ(row.verify(5, kIpv6).error().text(), "the clsact filter is gone");
  row.add(some(900));
  EXPECT_FALSE(row.empty());
  row.add(ours(2, 5));
  EXPECT_TRUE(row.verify(5, kIpv6).has_value());
  EXPECT_EQ(row.verify(6, kIpv6).error().text(), "the clsact filter runs another program");
  row.add(taker(3));
  row.add(ours(4, 6));
  EXPECT_TRUE(row.verify(5, kIpv6).has_value());
  EXPECT_EQ(row.ours(), (std::vector<std::uint16_t>{2, 4}));
}

}  // namespace
}  // namespace clat::bpf
