#include "supervisor/system/nft_text.hpp"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

#include "core/base/numbers.hpp"

namespace clat::system {

namespace {

// The same rules as of clat_tun_in (bpf/programs/clat.bpf.c), before conntrack, which never hears of what they drop.
// Next headers that the translator never emits: hop-by-hop options (0), routing (43), fragment (44) in a fragment,
// destination options (60). No peers: what is no unicast address (RFC 1812 §5.3.7), the CLAT itself, and hosts that are
// reached by another interface.
constexpr std::string_view kFilter = R"(add table inet $table
add counter inet $table drops
add counter inet $table connected
add chain inet $table clatd { type filter hook prerouting priority -300; policy accept; }
flush chain inet $table clatd
add rule inet $table clatd meta iif != $tun accept
add rule inet $table clatd ip6 nexthdr { 0, 43, 60 } counter name drops drop
add rule inet $table clatd frag nexthdr { 0, 43, 44, 60 } counter name drops drop
add rule inet $table clatd ip6 saddr $v6 ip6 daddr $prefix accept
$mapped_sourcesadd rule inet $table clatd ip saddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, 255.255.255.255, $no_private$v4 } counter name drops drop
$mapped_peers$connectedadd rule inet $table clatd ip daddr $own accept
add rule inet $table clatd counter name drops drop
)";
constexpr std::string_view kPrivate = "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, ";

// A set without a name: nobody can change what is in it, and the next one takes its place with the rule. nft refuses a
// set in which one prefix lies in another.
std::string elements(std::vector<Ipv4Prefix> prefixes) {
  std::ranges::sort(prefixes, {}, [](const auto& each) { return std::pair(each.address.number(), each.length); });
  std::string text;
  const Ipv4Prefix* last = nullptr;
  for (const auto& each : prefixes) {
    if (last != nullptr && last->contains(each.address)) continue;
    text += (last == nullptr ? "" : ", ") + each.text();
    last = &each;
  }
  return text;
}

std::vector<Ipv4Prefix> mapped(const model::FilterSpec& spec) {
  std::vector<Ipv4Prefix> prefixes;
  std::ranges::transform(spec.filter.by.ranges, std::back_inserter(prefixes), &RangeMapping::v4);
  return prefixes;
}

// To which clatd may deliver.
std::string own_addresses(const model::FilterSpec& spec) {
  auto own = spec.filter.by.v4.text();
  if (spec.filter.by.ranges.empty()) return own;
  return "{ " + own + ", " + elements(mapped(spec)) + " }";
}

std::string rule_about(const model::FilterSpec& spec) {
  return "add rule inet " + name({RuleTable::For::clatd, spec.filter.by.tun_ifindex}) + " clatd";
}

std::string connected_rule(const model::FilterSpec& spec) {
  if (spec.connected.empty()) return "";
  return rule_about(spec) + " ip saddr { " + elements(spec.connected) + " } ip daddr " + own_addresses(spec) +
         " counter name connected drop\n";
}

// Of hosts that are mapped one to one, exactly: u-octet and suffix are zero.
std::string rules_for_mapped_sources(const model::FilterSpec& spec) {
  std::string rules;
  for (const auto& range : spec.filter.by.ranges) {
    rules.append(rule_about(spec)).append(" ip6 saddr & ").append(range.exact_mask().text()).append(" == ");
    rules.append(range.covered().address.text()).append(" ip6 daddr ").append(spec.filter.by.prefix.text());
    rules.append(" accept\n");
  }
  return rules;
}

// They are no peers.
std::string rule_for_mapped_peers(const model::FilterSpec& spec) {
  if (spec.filter.by.ranges.empty()) return "";
  return rule_about(spec) + " ip saddr { " + elements(mapped(spec)) + " } counter name drops drop\n";
}

// The operator's own NAT comes first: that of fw4 and iptables is at srcnat, that of firewalld at srcnat + 10, and of
// two chains of one priority the newer comes first. IPv6 of the routed leg goes by the same tun and is not meant.
constexpr std::string_view kMasquerade =
    R"(add chain inet $table srcnat { type nat hook postrouting priority srcnat + 20; policy accept; }
add rule inet $table srcnat meta nfproto ipv4 meta oif $tun $othersmasquerade
)";
// Both ways: whichever side sends the SYN, the other must not answer with more than the way holds.
constexpr std::string_view kClampMss =
    R"(add chain inet $table mss { type filter hook forward priority mangle; policy accept; }
add rule inet $table mss meta nfproto ipv4 meta oif $tun tcp flags syn tcp option maxseg size set rt mtu
add rule inet $table mss meta nfproto ipv4 meta iif $tun tcp flags syn tcp option maxseg size set rt mtu
)";
constexpr std::string_view kNewLanTable = R"(add table inet $table
delete table inet $table
add table inet $table
)";

constexpr std::string_view kPrefix = "clatvisor_";
constexpr std::string_view kLan = "lan_";

using Value = std::pair<std::string_view, std::string>;

// No name begins with another.
std::string filled_in(std::string_view text, std::initializer_list<Value> values) {
  std::string filled;
  for (auto at = text.find('$'); at != std::string_view::npos; at = text.find('$')) {
    filled += text.substr(0, at);
    text.remove_prefix(at + 1);
    for (const auto& [name, value] : values) {
      if (!text.starts_with(name)) continue;
      filled += value;
      text.remove_prefix(name.size());
      break;
    }
  }
  filled += text;
  return filled;
}

}  // namespace

std::string name(const RuleTable& table) {
  const auto purpose = table.purpose == RuleTable::For::lan ? kLan : "";
  return std::string(kPrefix).append(purpose) + std::to_string(table.tun);
}

std::optional<RuleTable> parse_table_name(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  auto number = text.substr(kPrefix.size());
  RuleTable table;
  if (number.starts_with(kLan)) {
    table.purpose = RuleTable::For::lan;
    number.remove_prefix(kLan.size());
  }
  table.tun = parse_number<int>(number).value_or(0);
  return table.tun > 0 && name(table) == text ? std::optional(table) : std::nullopt;
}

std::vector<std::string_view> filter_chains() { return {"clatd"}; }

std::vector<std::string_view> chains_of(const model::LanSpec& spec) {
  std::vector<std::string_view> chains;
  if (spec.wishes.masquerade) chains.emplace_back("srcnat");
  if (spec.wishes.clamp_mss) chains.emplace_back("mss");
  return chains;
}

std::string lan_text(const model::LanSpec& spec) {
  std::string text(kNewLanTable);
  if (spec.wishes.masquerade) text += kMasquerade;
  if (spec.wishes.clamp_mss) text += kClampMss;
  const auto others = spec.unmasqueraded.empty() ? "" : "ip saddr != { " + elements(spec.unmasqueraded) + " } ";
  return filled_in(
      text, {{"table", name({RuleTable::For::lan, spec.tun})}, {"tun", std::to_string(spec.tun)}, {"others", others}});
}

std::string filter_text(const model::FilterSpec& spec) {
  const auto& clat = spec.filter.by;
  const bool no_private = clat.prefix.is_well_known() && !clat.allow_private_ipv4;
  return filled_in(kFilter, {{"table", name({RuleTable::For::clatd, clat.tun_ifindex})},
                             {"tun", std::to_string(clat.tun_ifindex)},
                             {"v4", clat.v4.text()},
                             {"v6", clat.v6.text()},
                             {"prefix", clat.prefix.text()},
                             {"own", own_addresses(spec)},
                             {"mapped_sources", rules_for_mapped_sources(spec)},
                             {"mapped_peers", rule_for_mapped_peers(spec)},
                             {"connected", connected_rule(spec)},
                             {"no_private", std::string(no_private ? kPrivate : "")}});
}

}  // namespace clat::system
