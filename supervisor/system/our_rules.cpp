// Network's part in rules of nftables: what stands is looked at and taken away here. nft, which puts it in, runs
// beside the loop.
#include <algorithm>
#include <cerrno>

#include "core/base/first_error.hpp"
#include "supervisor/system/network.hpp"
#include "supervisor/system/nft_text.hpp"

namespace clat::system {

namespace {

const SysctlName kForwarding{"net", "ipv4", "ip_forward"};

}  // namespace

Result<> Network::take_rules(const RuleTable& table, const std::vector<std::string_view>& chains) {
  if (!nft_table_) return failure("no nftables in this kernel", EPROTONOSUPPORT);
  rules_[table];  // to be taken away, whatever is found now
  auto seen = nft_table_->look_at(table, chains);
  if (!seen) return std::unexpected(std::move(seen).error());
  rules_[table] = std::move(*seen);
  return {};
}

Result<> Network::verify_rules(const RuleTable& table, const std::vector<std::string_view>& chains) {
  if (!nft_table_) return failure("no nftables in this kernel", EPROTONOSUPPORT);
  const auto seen = nft_table_->look_at(table, chains);
  if (!seen) return std::unexpected(seen.error());
  if (*seen != rules_[table]) return failure("the rules of nftables were changed");
  return {};
}

Result<> Network::remove_rules(const RuleTable& table) {
  if (!rules_.contains(table) || !nft_table_) return {};
  auto gone = nft_table_->remove(table);
  if (gone) rules_.erase(table);
  return gone;
}

model::Counters Network::filter_drops(int tun) {
  model::Counters counters;
  const RuleTable table{RuleTable::For::clatd, tun};
  if (!rules_.contains(table) || !nft_table_) return counters;
  for (const auto& [name, counter] :
       {std::pair("drop_filter", kFilterCounter), std::pair("drop_connected", kConnectedCounter)}) {
    if (const auto packets = nft_table_->count(table, counter)) counters.emplace_back(name, *packets);
  }
  return counters;
}

Result<> Network::sweep_rules(Lan lan) {
  if (!nft_table_) return {};
  const auto tables = nft_table_->all();
  if (!tables) return std::unexpected(tables.error());
  if (tables->empty()) return {};
  const auto tuns = rtnetlink_.tuns();
  if (!tuns) return std::unexpected(tuns.error());
  Result<> result;
  for (const auto& table : *tables) {
    const auto known = rules_.find(table);
    if (known != rules_.end() && !known->second.empty()) continue;
    const auto tun = std::ranges::find(*tuns, table.tun, [](const LinkMessage& each) { return each.link.ifindex; });
    // A carrier has only what somebody holds: another clatvisor, or a clatd that outlived its own.
    const bool held = tun != tuns->end() && tun->carrier;
    const bool stays = table.purpose == RuleTable::For::lan && lan == Lan::served && tun != tuns->end();
    rules_[table];
    if (!held && !stays) note(result, remove_rules(table));
  }
  return result;
}

Result<> Network::want_forwarding(const model::LanSpec& spec) {
  if (!spec.wishes.forwarding) return want_forwarding_no_more(spec);
  return in_context(saved_.acquire(kForwarding, "1", spec.tun_name), "IPv4 forwarding");
}

Result<> Network::verify_forwarding(const model::LanSpec& spec) const {
  if (!spec.wishes.forwarding) return {};
  const auto value = sysctl_.read(kForwarding);
  if (!value) return std::unexpected(value.error());
  return *value == "1" ? Result<>() : failure("net.ipv4.ip_forward is " + *value + ", not 1");
}

Result<> Network::want_forwarding_no_more(const model::LanSpec& spec) { return saved_.release(spec.tun_name); }

}  // namespace clat::system
