#include "supervisor/system/nft_rules.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_conntrack.h>

#include <cstddef>
#include <string_view>

namespace clat::system::nft {

namespace {

constexpr std::size_t kLongestName = 256;  // bytes, NFT_NAME_MAXLEN
constexpr std::uint32_t kCatchAll = 2;     // NFT_SET_ELEM_CATCHALL, newer than some headers

std::optional<std::uint32_t> number(Bytes attributes, std::uint16_t type) {
  const auto value = find_as<std::uint32_t>(attributes, type);
  return value ? std::optional(ntohl(*value)) : std::nullopt;
}

std::string word(Bytes attributes, std::uint16_t type) {
  const auto bytes = find_attribute(attributes, type);
  return bytes ? read_text(*bytes, kLongestName).value_or("") : "";
}

Bytes nested(Bytes attributes, std::uint16_t type) { return find_attribute(attributes, type).value_or(Bytes{}); }

std::uint32_t host_number(Bytes bytes) { return read_as<std::uint32_t>(bytes).value_or(0); }

// --- one rule

// What the expressions of a rule have loaded so far, by register.
struct Loaded {
  Key key = Key::unknown;
  std::uint32_t mask = ~std::uint32_t{0};
};
using Registers = std::map<std::uint32_t, Loaded>;

Key key_of_meta(std::uint32_t key) {
  switch (key) {
    case NFT_META_NFPROTO: return Key::protocol;
    case NFT_META_L4PROTO: return Key::transport;
    case NFT_META_IIFNAME: return Key::in_name;
    case NFT_META_OIFNAME: return Key::out_name;
    case NFT_META_IIF: return Key::in_index;
    case NFT_META_OIF: return Key::out_index;
    default: return Key::unknown;
  }
}

Key key_of_connection(std::uint32_t key) {
  switch (key) {
    case NFT_CT_STATE: return Key::connection_state;
    case NFT_CT_STATUS: return Key::connection_status;
    default: return Key::unknown;
  }
}

Condition compare(Bytes data, const Registers& registers) {
  const auto from = registers.find(number(data, NFTA_CMP_SREG).value_or(0));
  const auto operation = number(data, NFTA_CMP_OP);
  const Bytes value = nested(nested(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);
  if (from == registers.end() || (operation != NFT_CMP_EQ && operation != NFT_CMP_NEQ)) return {};
  return {.key = from->second.key,
          .equal = operation == NFT_CMP_EQ,
          .value = {value.begin(), value.end()},
          .mask = from->second.mask};
}

// A mask of one element is asked of the whole, which is more than is understood here.
void look_up(Rule& rule, Bytes data, const Registers& registers) {
  const auto from = registers.find(number(data, NFTA_LOOKUP_SREG).value_or(0));
  const bool known = from != registers.end() && from->second.mask == ~std::uint32_t{0};
  const Key key = known ? from->second.key : Key::unknown;
  const auto set = word(data, NFTA_LOOKUP_SET);
  if (number(data, NFTA_LOOKUP_DREG) == NFT_REG_VERDICT) {
    rule.outcome = {.verdict = Verdict::by_map, .target = set};
    rule.map_key = key;
    return;
  }
  const bool equal = (number(data, NFTA_LOOKUP_FLAGS).value_or(0) & NFT_LOOKUP_F_INV) == 0;
  rule.conditions.push_back({.key = key, .equal = equal, .set = set});
}

// Nothing: it loads a register.
std::optional<Outcome> outcome_of(Bytes data) {
  const Bytes verdict = nested(data, NFTA_DATA_VERDICT);
  const auto code = number(verdict, NFTA_VERDICT_CODE);
  if (!code) return std::nullopt;
  const auto target = word(verdict, NFTA_VERDICT_CHAIN);
  switch (static_cast<std::int32_t>(*code)) {
    case NF_ACCEPT: return Outcome{Verdict::accept, target};
    case NF_DROP: return Outcome{Verdict::drop, target};
    case NFT_JUMP: return Outcome{Verdict::jump, target};
    case NFT_GOTO: return Outcome{Verdict::go_to, target};
    case NFT_RETURN: return Outcome{Verdict::leave, target};
    case NFT_CONTINUE: return Outcome{};
    default: return Outcome{Verdict::unknown, target};  // to user space, say
  }
}

// `-m conntrack` of iptables-nft. Revision 2 is the beginning of revision 3.
void match_connection(Rule& rule, Bytes data) {
  const auto revision = number(data, NFTA_MATCH_REV);
  const auto info = find_as<xt_conntrack_mtinfo2>(data, NFTA_MATCH_INFO);
  if (!info || (revision != 2U && revision != 3U)) {
    rule.conditions.emplace_back();
    return;
  }
  if ((info->match_flags & ~XT_CONNTRACK_STATE) != 0) rule.conditions.emplace_back();
  if ((info->match_flags & XT_CONNTRACK_STATE) == 0) return;
  constexpr std::uint32_t translated = XT_CONNTRACK_STATE_SNAT | XT_CONNTRACK_STATE_DNAT;
  const bool inverted = (info->invert_flags & XT_CONNTRACK_STATE) != 0;
  rule.conditions.push_back({.key = (info->state_mask & translated) != 0 ? Key::unknown : Key::connection_state,
                             .equal = inverted,
                             .value = std::vector<std::uint8_t>(sizeof(std::uint32_t), 0),
                             .mask = info->state_mask});
}

// Of iptables. A comment asks nothing.
void match_extension(Rule& rule, Bytes data) {
  const auto name = word(data, NFTA_MATCH_NAME);
  if (name == "conntrack")
    match_connection(rule, data);
  else if (name != "comment")
    rule.conditions.emplace_back();
}

// Counting and logging ask nothing.
bool always_goes_on(std::string_view expression) { return expression == "counter" || expression == "log"; }

void take(Rule& rule, Registers& registers, std::string_view expression, Bytes data) {
  if (expression == "meta" && find_attribute(data, NFTA_META_DREG)) {
    registers[*number(data, NFTA_META_DREG)] = {.key = key_of_meta(number(data, NFTA_META_KEY).value_or(~0U))};
  } else if (expression == "ct" && find_attribute(data, NFTA_CT_DREG)) {
    registers[*number(data, NFTA_CT_DREG)] = {.key = key_of_connection(number(data, NFTA_CT_KEY).value_or(~0U))};
  } else if (expression == "bitwise") {
    auto& masked = registers[number(data, NFTA_BITWISE_DREG).value_or(0)];
    masked = registers[number(data, NFTA_BITWISE_SREG).value_or(0)];
    masked.mask = host_number(nested(nested(data, NFTA_BITWISE_MASK), NFTA_DATA_VALUE));
  } else if (expression == "cmp") {
    rule.conditions.push_back(compare(data, registers));
  } else if (expression == "lookup") {
    look_up(rule, data, registers);
  } else if (expression == "match") {
    match_extension(rule, data);
  } else if (expression == "immediate") {
    if (auto outcome = outcome_of(nested(data, NFTA_IMMEDIATE_DATA))) rule.outcome = std::move(*outcome);
  } else if (expression == "reject") {
    rule.outcome.verdict = Verdict::drop;
  } else if (expression == "queue") {
    rule.outcome.verdict = Verdict::unknown;
  } else if (expression == "target") {
    // Of iptables; its others mark and count.
    if (word(data, NFTA_TARGET_NAME) == "REJECT") rule.outcome.verdict = Verdict::drop;
  } else if (expression == "payload" || expression == "exthdr" || expression == "fib" || expression == "rt") {
    registers[number(data, 1).value_or(0)] = {};  // the first attribute of each names its register
  } else if (!always_goes_on(expression)) {
    rule.conditions.emplace_back();
  }
}

}  // namespace

void add_chain(Ruleset& ruleset, const Message& message) {
  const auto header = read_as<nfgenmsg>(message.payload);
  if (!header) return;
  const Bytes attributes = attributes_after<nfgenmsg>(message.payload);
  const auto hook = find_attribute(attributes, NFTA_CHAIN_HOOK);
  if (!hook || number(*hook, NFTA_HOOK_HOOKNUM) != NF_INET_FORWARD) return;
  if (header->nfgen_family != NFPROTO_INET && header->nfgen_family != NFPROTO_IPV4 &&
      header->nfgen_family != NFPROTO_IPV6) {
    return;
  }
  const ChainName name{header->nfgen_family, word(attributes, NFTA_CHAIN_TABLE), word(attributes, NFTA_CHAIN_NAME)};
  ruleset.forward[name] = number(attributes, NFTA_CHAIN_POLICY) == NF_DROP;
}

void add_rule(Ruleset& ruleset, const Message& message) {
  const auto header = read_as<nfgenmsg>(message.payload);
  if (!header) return;
  const Bytes attributes = attributes_after<nfgenmsg>(message.payload);
  Rule rule;
  Registers registers;
  Bytes expressions = nested(attributes, NFTA_RULE_EXPRESSIONS);
  while (const auto element = next_attribute(expressions)) {
    take(rule, registers, word(element->payload, NFTA_EXPR_NAME), nested(element->payload, NFTA_EXPR_DATA));
  }
  const ChainName name{header->nfgen_family, word(attributes, NFTA_RULE_TABLE), word(attributes, NFTA_RULE_CHAIN)};
  ruleset.rules[name].push_back(std::move(rule));
}

void add_elements(Ruleset& ruleset, const Message& message) {
  const auto header = read_as<nfgenmsg>(message.payload);
  if (!header) return;
  const Bytes attributes = attributes_after<nfgenmsg>(message.payload);
  auto& elements = ruleset.sets[{header->nfgen_family, word(attributes, NFTA_SET_ELEM_LIST_TABLE),
                                 word(attributes, NFTA_SET_ELEM_LIST_SET)}];
  Bytes list = nested(attributes, NFTA_SET_ELEM_LIST_ELEMENTS);
  while (const auto each = next_attribute(list)) {
    const Bytes key = nested(nested(each->payload, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
    elements.push_back({.value = {key.begin(), key.end()},
                        .outcome = outcome_of(nested(each->payload, NFTA_SET_ELEM_DATA)).value_or(Outcome{}),
                        .any = (number(each->payload, NFTA_SET_ELEM_FLAGS).value_or(0) & kCatchAll) != 0});
  }
}

bool is_plain_set(const Message& message) {
  constexpr std::uint32_t odd = NFT_SET_INTERVAL | NFT_SET_TIMEOUT | NFT_SET_EVAL | NFT_SET_OBJECT | NFT_SET_CONCAT;
  const auto flags = number(attributes_after<nfgenmsg>(message.payload), NFTA_SET_FLAGS);
  return (flags.value_or(0) & odd) == 0;
}

std::set<SetName> sets_asked(const Ruleset& ruleset) {
  std::set<SetName> asked;
  for (const auto& [chain, rules] : ruleset.rules) {
    const auto& [family, table, name] = chain;
    for (const auto& rule : rules) {
      if (rule.outcome.verdict == Verdict::by_map && rule.map_key != Key::unknown) {
        asked.emplace(family, table, rule.outcome.target);
      }
      for (const auto& condition : rule.conditions) {
        if (!condition.set.empty() && condition.key != Key::unknown) asked.emplace(family, table, condition.set);
      }
    }
  }
  return asked;
}

}  // namespace clat::system::nft
