// What nftables would do with a packet that is forwarded, as far as that can be told from its rules: pure functions
// over what the kernel says of them. iptables-nft is nftables, too; what iptables-legacy holds nobody can read this
// way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "supervisor/system/netlink_message.hpp"

namespace clat::system::nft {

// What a rule compares; nothing known: it may match or not.
enum class Key : std::uint8_t {
  unknown,
  protocol,
  transport,
  in_name,
  out_name,
  in_index,
  out_index,
  connection_state,
  connection_status
};
struct Condition {
  Key key = Key::unknown;
  bool equal = true;
  std::vector<std::uint8_t> value = {};  // as the kernel compares it; of names perhaps the beginning only
  std::uint32_t mask = ~std::uint32_t{0};
  std::string set = {};  // its elements are meant rather than `value`
  bool operator==(const Condition&) const = default;
};
enum class Verdict : std::uint8_t { none, accept, drop, jump, go_to, leave, by_map, unknown };
struct Outcome {
  Verdict verdict = Verdict::none;
  std::string target = {};  // of jump and go_to the chain, of by_map the map
  bool operator==(const Outcome&) const = default;
};
struct Rule {
  std::vector<Condition> conditions = {};
  Outcome outcome = {};
  Key map_key = Key::unknown;  // of by_map
  bool operator==(const Rule&) const = default;
};
struct Element {
  std::vector<std::uint8_t> value = {};
  Outcome outcome = {};  // of a map
  bool any = false;      // stands for what no other element is
  bool operator==(const Element&) const = default;
};
// Family (NFPROTO_*), table, chain.
using ChainName = std::tuple<std::uint8_t, std::string, std::string>;
using SetName = ChainName;
struct Ruleset {
  std::map<ChainName, bool> forward;             // base chains of the forward hook; whether the policy is drop
  std::map<ChainName, std::vector<Rule>> rules;  // in their order
  std::map<SetName, std::vector<Element>> sets;  // of those that were asked; what is in others nobody knows
  bool operator==(const Ruleset&) const = default;
};

// Puts one message of a dump of chains, of rules, or of a set's elements, into the picture.
void add_chain(Ruleset& ruleset, const Message& message);
void add_rule(Ruleset& ruleset, const Message& message);
void add_elements(Ruleset& ruleset, const Message& message);

// Sets and maps whose elements decide about something that is known of a packet.
std::set<SetName> sets_asked(const Ruleset& ruleset);
// Whether its elements are single values, which change with the ruleset alone.
bool is_plain_set(const Message& message);

// A packet on its way through the router. Without `in` and `in_index` it comes from any device but lo and `out`.
struct Packet {
  std::uint8_t protocol = 0;   // NFPROTO_IPV4 or NFPROTO_IPV6
  std::uint8_t transport = 0;  // IPPROTO_*
  std::string in = {}, out = {};
  int in_index = 0, out_index = 0;
  std::uint32_t connection_state = 0;  // one of the two below
};
constexpr std::uint32_t kEstablished = 1 << 1;
constexpr std::uint32_t kNew = 1 << 3;

// The base chain that drops it for sure: "ip6 filter FORWARD".
std::optional<std::string> dropped_by(const Ruleset& ruleset, const Packet& packet);

}  // namespace clat::system::nft
