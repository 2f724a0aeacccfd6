// The way of a packet through the chains of the forward hook.
#include <linux/if.h>
#include <linux/netfilter.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "supervisor/system/nft_rules.hpp"

namespace clat::system::nft {

namespace {

enum class Match : std::uint8_t { no, maybe, yes };

Match yes_if(bool condition) { return condition ? Match::yes : Match::no; }
Match opposite(Match match) { return match == Match::maybe ? match : yes_if(match == Match::no); }

using Value = std::vector<std::uint8_t>;

bool begins_with(std::string_view name, const Value& value) {
  std::array<std::uint8_t, IFNAMSIZ> padded{};
  std::ranges::copy(name.substr(0, IFNAMSIZ - 1), padded.begin());
  return value.size() <= padded.size() && std::ranges::equal(value, std::span(padded).first(value.size()));
}

Match is_name(const std::string& name, const Value& value) {
  return name.empty() ? Match::maybe : yes_if(begins_with(name, value));
}

// A host's packet comes in neither by lo nor by the device that it leaves by. A value that is a few letters long may
// mean many devices.
Match came_in_by(const Packet& packet, const Value& value) {
  constexpr std::string_view kLoopback = "lo";
  constexpr std::size_t kFew = 2;
  if (!packet.in.empty()) return is_name(packet.in, value);
  const bool impossible = begins_with(kLoopback, value) || begins_with(packet.out, value);
  return value.size() > kFew && impossible ? Match::no : Match::maybe;
}

std::uint32_t number_of(const Value& value) { return read_as<std::uint32_t>(value).value_or(0); }

Match is_number(std::uint32_t number, const Value& value, std::uint32_t mask) {
  return number == 0 ? Match::maybe : yes_if((number & mask) == number_of(value));
}

Match came_in_by(const Packet& packet, const Value& value, std::uint32_t mask) {
  constexpr std::uint32_t kLoopback = 1;
  const auto index = static_cast<std::uint32_t>(packet.in_index);
  if (index == 0 && number_of(value) == kLoopback) return Match::no;
  return is_number(index, value, mask);
}

// Nothing is forwarded to where somebody redirected it; of the rest of a status nothing is known.
Match is_status(const Value& value, std::uint32_t mask) {
  constexpr std::uint32_t kDestinationTranslated = 1 << 5;  // IPS_DST_NAT
  return mask == kDestinationTranslated ? yes_if(number_of(value) == 0) : Match::maybe;
}

Match is_value(const Packet& packet, Key key, const Value& value, std::uint32_t mask = ~std::uint32_t{0}) {
  switch (key) {
    case Key::unknown: return Match::maybe;
    case Key::protocol: return yes_if(value == Value{packet.protocol});
    case Key::transport: return yes_if(value == Value{packet.transport});
    case Key::in_name: return came_in_by(packet, value);
    case Key::out_name: return is_name(packet.out, value);
    case Key::in_index: return came_in_by(packet, value, mask);
    case Key::out_index: return is_number(static_cast<std::uint32_t>(packet.out_index), value, mask);
    case Key::connection_state: return is_number(packet.connection_state, value, mask);
    case Key::connection_status: return is_status(value, mask);
  }
  return Match::maybe;
}

// Bytes. An element with others is a concatenation, of which this is the first part.
std::size_t size_of(Key key) {
  switch (key) {
    case Key::protocol:
    case Key::transport: return 1;
    case Key::in_name:
    case Key::out_name: return IFNAMSIZ;
    case Key::in_index:
    case Key::out_index:
    case Key::connection_state:
    case Key::connection_status: return sizeof(std::uint32_t);
    case Key::unknown: break;
  }
  return 0;
}

// What may become of the packet in a chain. Neither: it is dropped for sure.
struct Ways {
  bool accepted = false;
  bool at_the_end = false;  // for the caller, or the policy, to say
};
// The same behind one rule.
struct Steps {
  bool accepted = false;
  bool goes_on = false;  // to the next rule
  bool leaves = false;   // the chain
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
      const auto match = matches(name, rule);
      if (match == Match::no) continue;
      const auto one = rule.outcome.verdict == Verdict::by_map ? by_map(name, rule) : after(name, rule.outcome);
      all.accepted |= one.accepted;
      all.at_the_end |= one.leaves;
      if (match == Match::yes && !one.goes_on) return all;
    }
    all.at_the_end = true;
    return all;
  }

  Match matches(const ChainName& chain, const Rule& rule) const {
    Match all = Match::yes;
    for (const auto& condition : rule.conditions) all = std::min(all, matches(chain, condition));
    return all;
  }

  Match matches(const ChainName& chain, const Condition& condition) const {
    auto match = Match::maybe;
    if (condition.set.empty()) {
      match = is_value(packet_, condition.key, condition.value, condition.mask);
    } else if (const auto* elements = elements_of(chain, condition.set)) {
      match = Match::no;
      for (const auto& each : *elements) match = std::max(match, is_element(condition.key, each));
    }
    return condition.equal ? match : opposite(match);
  }

  Match is_element(Key key, const Element& element) const {
    if (element.any || element.value.size() != size_of(key)) return Match::maybe;
    return is_value(packet_, key, element.value);
  }

  const std::vector<Element>* elements_of(const ChainName& chain, const std::string& set) const {
    const auto found = ruleset_.sets.find({std::get<0>(chain), std::get<1>(chain), set});
    return found == ruleset_.sets.end() ? nullptr : &found->second;
  }

  Steps after(const ChainName& chain, const Outcome& outcome) {
    switch (outcome.verdict) {
      case Verdict::accept: return {.accepted = true};
      case Verdict::drop: return {};
      case Verdict::none: return {.goes_on = true};
      case Verdict::leave: return {.leaves = true};
      case Verdict::by_map:
      case Verdict::unknown: return {.accepted = true, .goes_on = true};
      case Verdict::jump:
      case Verdict::go_to: break;
    }
    const auto ways = through({std::get<0>(chain), std::get<1>(chain), outcome.target});
    const bool jumps = outcome.verdict == Verdict::jump;
    return {.accepted = ways.accepted, .goes_on = jumps && ways.at_the_end, .leaves = !jumps && ways.at_the_end};
  }

  Steps by_map(const ChainName& chain, const Rule& rule) {
    const auto* elements = elements_of(chain, rule.outcome.target);
    if (elements == nullptr) return after(chain, {.verdict = Verdict::unknown});
    Steps all{.goes_on = true};
    for (const auto& each : *elements) {
      const auto match = is_element(rule.map_key, each);
      if (match == Match::no) continue;
      const auto one = after(chain, each.outcome);
      if (match == Match::yes) return one;
      all.accepted |= one.accepted;
      all.leaves |= one.leaves;
    }
    return all;
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
