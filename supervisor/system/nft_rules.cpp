#include "supervisor/system/nft_rules.hpp"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace clat::system::nft {

namespace {

constexpr std::size_t kLongestName = 256;  // bytes, NFT_NAME_MAXLEN

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
    case NFT_META_IIFNAME: return Key::in_name;
    case NFT_META_OIFNAME: return Key::out_name;
    case NFT_META_IIF: return Key::in_index;
    case NFT_META_OIF: return Key::out_index;
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

void conclude(Rule& rule, Bytes data) {
  const Bytes verdict = nested(nested(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);
  const auto code = number(verdict, NFTA_VERDICT_CODE);
  if (!code) return;  // it loads a register
  rule.target = word(verdict, NFTA_VERDICT_CHAIN);
  switch (static_cast<std::int32_t>(*code)) {
    case NF_ACCEPT: rule.verdict = Verdict::accept; return;
    case NF_DROP: rule.verdict = Verdict::drop; return;
    case NFT_JUMP: rule.verdict = Verdict::jump; return;
    case NFT_GOTO: rule.verdict = Verdict::go_to; return;
    case NFT_RETURN: rule.verdict = Verdict::leave; return;
    case NFT_CONTINUE: return;
    default: rule.verdict = Verdict::unknown; return;  // to user space, say
  }
}

// Counting and logging ask nothing.
bool always_goes_on(std::string_view expression) { return expression == "counter" || expression == "log"; }

void take(Rule& rule, Registers& registers, std::string_view expression, Bytes data) {
  if (expression == "meta" && find_attribute(data, NFTA_META_DREG)) {
    registers[*number(data, NFTA_META_DREG)] = {.key = key_of_meta(number(data, NFTA_META_KEY).value_or(~0U))};
  } else if (expression == "ct" && find_attribute(data, NFTA_CT_DREG)) {
    const bool state = number(data, NFTA_CT_KEY) == NFT_CT_STATE;
    registers[number(data, NFTA_CT_DREG).value_or(0)] = {.key = state ? Key::connection_state : Key::unknown};
  } else if (expression == "bitwise") {
    auto& masked = registers[number(data, NFTA_BITWISE_DREG).value_or(0)];
    masked = registers[number(data, NFTA_BITWISE_SREG).value_or(0)];
    masked.mask = host_number(nested(nested(data, NFTA_BITWISE_MASK), NFTA_DATA_VALUE));
  } else if (expression == "cmp") {
    rule.conditions.push_back(compare(data, registers));
  } else if (expression == "immediate") {
    conclude(rule, data);
  } else if (expression == "reject") {
    rule.verdict = Verdict::drop;
  } else if (expression == "lookup" && number(data, NFTA_LOOKUP_DREG) == NFT_REG_VERDICT) {
    rule.verdict = Verdict::unknown;  // a verdict map
  } else if (expression == "queue") {
    rule.verdict = Verdict::unknown;
  } else if (expression == "target") {
    // Of iptables; its others mark and count.
    if (word(data, NFTA_TARGET_NAME) == "REJECT") rule.verdict = Verdict::drop;
  } else if (expression == "payload" || expression == "exthdr" || expression == "fib" || expression == "rt") {
    registers[number(data, 1).value_or(0)] = {};  // the first attribute of each names its register
  } else if (!always_goes_on(expression)) {
    rule.conditions.emplace_back();
  }
}

// --- the way of a packet

enum class Match : std::uint8_t { no, maybe, yes };

bool begins_with(const std::string& name, const std::vector<std::uint8_t>& value) {
  std::array<std::uint8_t, IFNAMSIZ> padded{};
  std::ranges::copy(name.substr(0, IFNAMSIZ - 1), padded.begin());
  return value.size() <= padded.size() && std::ranges::equal(value, std::span(padded).first(value.size()));
}

Match matches_name(const std::string& name, const Condition& condition) {
  if (name.empty()) return Match::maybe;
  return begins_with(name, condition.value) == condition.equal ? Match::yes : Match::no;
}

Match matches_number(std::uint32_t number, const Condition& condition) {
  if (number == 0) return Match::maybe;
  return ((number & condition.mask) == host_number(condition.value)) == condition.equal ? Match::yes : Match::no;
}

Match matches(const Condition& condition, const Packet& packet) {
  switch (condition.key) {
    case Key::unknown: return Match::maybe;
    case Key::protocol:
      return (condition.value == std::vector{packet.protocol}) == condition.equal ? Match::yes : Match::no;
    case Key::in_name: return matches_name(packet.in, condition);
    case Key::out_name: return matches_name(packet.out, condition);
    case Key::in_index: return matches_number(static_cast<std::uint32_t>(packet.in_index), condition);
    case Key::out_index: return matches_number(static_cast<std::uint32_t>(packet.out_index), condition);
    case Key::connection_state: return matches_number(packet.connection_state, condition);
  }
  return Match::maybe;
}

Match matches(const Rule& rule, const Packet& packet) {
  Match all = Match::yes;
  for (const auto& condition : rule.conditions) all = std::min(all, matches(condition, packet));
  return all;
}

// What may become of the packet in a chain. Neither: it is dropped for sure.
struct Ways {
  bool accepted = false;
  bool at_the_end = false;  // for the caller, or the policy, to say
};

class Walk {
 public:
  Walk(const Ruleset& ruleset, const Packet& packet) : ruleset_(ruleset), packet_(packet) {}

  Ways through(const ChainName& name) {
    const auto known = walked_.find(name);
    if (known != walked_.end()) return known->second;
    walked_[name] = {.accepted = true, .at_the_end = true};  // the kernel has no loops
    const auto rules = ruleset_.rules.find(name);
    Ways ways{.accepted = false, .at_the_end = true};
    if (rules != ruleset_.rules.end()) ways = through(name, rules->second);
    return walked_[name] = ways;
  }

 private:
  Ways through(const ChainName& name, const std::vector<Rule>& rules) {
    Ways all;
    for (const auto& rule : rules) {
      const auto match = matches(rule, packet_);
      if (match == Match::no || rule.verdict == Verdict::none) continue;
      const auto one = after(name, rule);
      all.accepted |= one.accepted;
      const bool leaves = rule.verdict == Verdict::leave || rule.verdict == Verdict::go_to;
      if (leaves) all.at_the_end |= one.at_the_end;
      if (match == Match::yes && (leaves || !one.at_the_end)) return all;
    }
    all.at_the_end = true;
    return all;
  }

  Ways after(const ChainName& name, const Rule& rule) {
    switch (rule.verdict) {
      case Verdict::accept: return {.accepted = true};
      case Verdict::drop: return {};
      case Verdict::jump:
      case Verdict::go_to: return through({std::get<0>(name), std::get<1>(name), rule.target});
      case Verdict::none:
      case Verdict::leave: return {.at_the_end = true};
      case Verdict::unknown: break;
    }
    return {.accepted = true, .at_the_end = true};
  }

  const Ruleset& ruleset_;
  const Packet& packet_;
  std::map<ChainName, Ways> walked_;
};

std::string text(const ChainName& name) {
  const auto& [family, table, chain] = name;
  return (family == NFPROTO_INET ? "inet " : family == NFPROTO_IPV6 ? "ip6 " : "ip ") + table + " " + chain;
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

std::optional<std::string> dropped_by(const Ruleset& ruleset, const Packet& packet) {
  for (const auto& [name, drops] : ruleset.forward) {
    const auto family = std::get<0>(name);
    if (family != NFPROTO_INET && family != packet.protocol) continue;
    const auto ways = Walk(ruleset, packet).through(name);
    if (!ways.accepted && (drops || !ways.at_the_end)) return text(name);
  }
  return std::nullopt;
}

}  // namespace clat::system::nft
