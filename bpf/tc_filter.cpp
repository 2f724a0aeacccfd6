#include "bpf/tc_filter.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_connmark.h>
#include <linux/tc_act/tc_ctinfo.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_skbedit.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "bpf/hook.hpp"

namespace clat::bpf {

namespace {

using Bytes = std::span<const std::byte>;

template <class Value>
std::optional<Value> read_as(Bytes bytes, std::size_t offset = 0) {
  if (bytes.size() < offset + sizeof(Value)) return std::nullopt;
  Value value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

// Up to the first NUL: the kernel ends every string with one.
std::string text_of(Bytes bytes) {
  const auto end = std::ranges::find(bytes, std::byte{0});
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(end - bytes.begin())};
}

// Calls visit(type, value) until it returns false. Stops where an attribute does not fit into what is left.
template <class Visit>
void for_each(Bytes attributes, Visit visit) {
  const auto* end = attributes.data() + attributes.size();
  const auto left = [end](const nlattr* attribute) {
    return static_cast<int>(end - reinterpret_cast<const std::byte*>(attribute));
  };
  for (const auto* each = reinterpret_cast<const nlattr*>(attributes.data()); mnl_attr_ok(each, left(each));
       each = mnl_attr_next(each)) {
    const Bytes value{static_cast<const std::byte*>(mnl_attr_get_payload(each)), mnl_attr_get_payload_len(each)};
    if (!visit(mnl_attr_get_type(each), value)) return;
  }
}

std::optional<Bytes> find(Bytes attributes, int wanted) {
  std::optional<Bytes> found;
  for_each(attributes, [&](int type, Bytes value) {
    if (type == wanted) found = value;
    return !found;
  });
  return found;
}

// What becomes of a packet after an action (TC_ACT_…) is in the attribute `where`, `offset` bytes from its beginning.
struct ActionKind {
  std::string_view name;
  int where;
  std::size_t offset;
};
constexpr std::size_t kInTcGen = 8;  // tc_gen: index, capab, action, …
constexpr ActionKind kActionKinds[] = {
    {"gact", TCA_GACT_PARMS, kInTcGen},       {"mirred", TCA_MIRRED_PARMS, kInTcGen},
    {"skbedit", TCA_SKBEDIT_PARMS, kInTcGen}, {"connmark", TCA_CONNMARK_PARMS, kInTcGen},
    {"ctinfo", TCA_CTINFO_ACT, kInTcGen},     {"police", TCA_POLICE_RESULT, 0}};

// TC_ACT_PIPE, the next action's turn, of kinds that are not in the table: most of them end so.
int verdict_of(std::string_view kind, Bytes options) {
  const auto* known = std::ranges::find(kActionKinds, kind, &ActionKind::name);
  if (known == std::end(kActionKinds)) return TC_ACT_PIPE;
  const auto where = find(options, known->where);
  if (!where) return TC_ACT_PIPE;
  const auto mirred = kind == "mirred" ? read_as<tc_mirred>(*where) : std::nullopt;
  if (mirred && (mirred->eaction == TCA_EGRESS_REDIR || mirred->eaction == TCA_INGRESS_REDIR)) return TC_ACT_STOLEN;
  return read_as<std::int32_t>(*where, known->offset).value_or(TC_ACT_PIPE);
}

// Whether a packet that the filter matches comes to no filter behind it. One that leaves the last action by TC_ACT_PIPE
// does not either, nor where there is no action.
bool takes(Bytes actions) {
  bool taken = true;
  for_each(actions, [&](int, Bytes action) {
    const auto kind = text_of(find(action, TCA_ACT_KIND).value_or(Bytes{}));
    const int verdict = verdict_of(kind, find(action, TCA_ACT_OPTIONS).value_or(Bytes{}));
    taken = verdict != TC_ACT_UNSPEC && verdict != TC_ACT_SHOT;
    return verdict == TC_ACT_PIPE || TC_ACT_EXT_CMP(verdict, TC_ACT_JUMP);
  });
  return taken;
}

std::uint32_t number_in(Bytes options, int type) {
  return find(options, type).and_then([](Bytes value) { return read_as<std::uint32_t>(value); }).value_or(0);
}

CtInfo ctinfo_of(Bytes options) {
  const auto zone = find(options, TCA_CTINFO_ZONE).and_then([](Bytes value) { return read_as<std::uint16_t>(value); });
  return {.zone = zone.value_or(0),
          .dscp_mask = number_in(options, TCA_CTINFO_PARMS_DSCP_MASK),
          .dscp_state_mask = number_in(options, TCA_CTINFO_PARMS_DSCP_STATEMASK),
          .mark_mask = number_in(options, TCA_CTINFO_PARMS_CPMARK_MASK)};
}

// Nothing where an action comes first that no copy is made of.
std::optional<Redirect> redirect_by(const std::string& filter, Bytes actions) {
  Redirect redirect{.kind = filter};
  bool redirects = false;
  for_each(actions, [&](int, Bytes action) {
    const auto kind = text_of(find(action, TCA_ACT_KIND).value_or(Bytes{}));
    const auto options = find(action, TCA_ACT_OPTIONS).value_or(Bytes{});
    if (kind == "ctinfo" && !redirect.ctinfo && verdict_of(kind, options) == TC_ACT_PIPE) {
      redirect.ctinfo = ctinfo_of(options);
      return true;
    }
    const auto parms =
        kind == "mirred"
            ? find(options, TCA_MIRRED_PARMS).and_then([](Bytes value) { return read_as<tc_mirred>(value); })
            : std::nullopt;
    redirects = parms && parms->eaction == TCA_EGRESS_REDIR;
    if (redirects) redirect.device = std::max(static_cast<int>(parms->ifindex), 0);
    return false;
  });
  return redirects ? std::optional(redirect) : std::nullopt;
}

// Of u32. Tables other than the first see what is sent to them only.
bool matches_all(std::uint32_t handle, Bytes selector) {
  constexpr std::uint32_t kOfFirstTable = 0x80000000;
  const auto flags = read_as<std::uint8_t>(selector, offsetof(tc_u32_sel, flags));
  const auto keys = read_as<std::uint8_t>(selector, offsetof(tc_u32_sel, nkeys));
  if (!flags || !keys || (handle & kOfFirstTable) == 0 || (*flags & TC_U32_TERMINAL) == 0) return false;
  for (std::size_t i = 0; i < *keys; ++i) {
    const auto key = read_as<tc_u32_key>(selector, sizeof(tc_u32_sel) + i * sizeof(tc_u32_key));
    if (!key || key->mask != 0) return false;
  }
  return true;
}

// The kernel tells of the tree of basic's matches where it has none, too.
bool has_matches(Bytes tree) {
  const auto header = find(tree, TCA_EMATCH_TREE_HDR);
  const auto count = header ? read_as<std::uint16_t>(*header, offsetof(tcf_ematch_tree_hdr, nmatches)) : std::nullopt;
  return count != 0;
}

// Any other attribute than these leaves packets out.
struct FilterKind {
  std::string_view name;
  int actions;
  int flags;
  std::initializer_list<int> harmless;
};
constexpr FilterKind kFilterKinds[] = {
    {"matchall",
     TCA_MATCHALL_ACT,
     TCA_MATCHALL_FLAGS,
     {TCA_MATCHALL_CLASSID, TCA_MATCHALL_ACT, TCA_MATCHALL_FLAGS, TCA_MATCHALL_PCNT, TCA_MATCHALL_PAD}},
    {"u32",
     TCA_U32_ACT,
     TCA_U32_FLAGS,
     {TCA_U32_CLASSID, TCA_U32_HASH, TCA_U32_SEL, TCA_U32_ACT, TCA_U32_PCNT, TCA_U32_FLAGS, TCA_U32_PAD}},
    // The EtherType of flower is the filter's protocol once more.
    {"flower",
     TCA_FLOWER_ACT,
     TCA_FLOWER_FLAGS,
     {TCA_FLOWER_CLASSID, TCA_FLOWER_ACT, TCA_FLOWER_FLAGS, TCA_FLOWER_IN_HW_COUNT, TCA_FLOWER_KEY_ETH_TYPE}},
    {"basic",
     TCA_BASIC_ACT,
     TCA_UNSPEC,
     {TCA_BASIC_CLASSID, TCA_BASIC_EMATCHES, TCA_BASIC_ACT, TCA_BASIC_PCNT, TCA_BASIC_PAD}}};

void take_options(TcFilter& filter, Bytes options) {
  const bool is_u32 = filter.kind == "u32";
  filter.is_complete = !is_u32 || find(options, TCA_U32_SEL);
  const auto* kind = std::ranges::find(kFilterKinds, filter.kind, &FilterKind::name);
  if (kind == std::end(kFilterKinds)) return;
  bool matches = true;
  for_each(options, [&](int type, Bytes) { return matches = std::ranges::count(kind->harmless, type) != 0; });
  if (filter.kind == "basic") {
    const auto tree = find(options, TCA_BASIC_EMATCHES);
    matches &= !tree || !has_matches(*tree);
  }
  if (is_u32) matches &= matches_all(filter.handle, find(options, TCA_U32_SEL).value_or(Bytes{}));
  const bool only_in_hardware = (number_in(options, kind->flags) & TCA_CLS_FLAGS_SKIP_SW) != 0;
  const auto actions = find(options, kind->actions).value_or(Bytes{});
  filter.takes_all = matches && !only_in_hardware && takes(actions);
  if (filter.takes_all) filter.redirect = redirect_by(filter.kind, actions);
}

}  // namespace

std::optional<TcFilter> parse_filter(std::span<const std::byte> message) {
  const auto header = read_as<tcmsg>(message);
  if (!header) return std::nullopt;
  const Bytes attributes = message.subspan(sizeof(tcmsg));
  const auto kind = find(attributes, TCA_KIND);
  if (!kind) return std::nullopt;
  TcFilter filter;
  filter.handle = header->tcm_handle;
  filter.pref = static_cast<std::uint16_t>(TC_H_MAJ(header->tcm_info) >> 16);
  filter.protocol = ntohs(static_cast<std::uint16_t>(TC_H_MIN(header->tcm_info)));
  filter.kind = text_of(*kind);
  if (const auto chain = find(attributes, TCA_CHAIN)) filter.chain = read_as<std::uint32_t>(*chain).value_or(0);
  // None: the kernel tells first that there is something of this kind and pref.
  const auto options = find(attributes, TCA_OPTIONS);
  if (options && filter.kind == "bpf") {
    filter.program = text_of(find(*options, TCA_BPF_NAME).value_or(Bytes{}));
    filter.program_id = number_in(*options, TCA_BPF_ID);
    filter.is_complete = true;
  } else if (options) {
    take_options(filter, *options);
  }
  return filter;
}

std::optional<std::uint16_t> actions_of(std::string_view kind) {
  const auto* known = std::ranges::find(kFilterKinds, kind, &FilterKind::name);
  if (known == std::end(kFilterKinds)) return std::nullopt;
  return static_cast<std::uint16_t>(known->actions);
}

void add_to(Ingress& ingress, const TcFilter& filter) {
  const bool sees_ipv6 = filter.protocol == ETH_P_ALL || filter.protocol == ETH_P_IPV6;
  const bool is_ours = filter.kind == "bpf" && filter.program.starts_with(kProgramNamePrefix);
  if (ingress.decided || !filter.is_complete || filter.chain != 0 || !sees_ipv6 || is_ours) return;
  ingress.decided = filter.takes_all;
  if (filter.redirect)
    ingress.redirect = filter.redirect;
  else if (!ingress.other)
    ingress.other = OtherFilter{filter.kind, filter.pref};
}

}  // namespace clat::bpf
