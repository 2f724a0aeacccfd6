// Network's part in the filter by nftables: what stands is looked at and taken away here. nft, which puts it in, runs
// beside the loop.
#include <algorithm>
#include <cerrno>

#include "core/base/first_error.hpp"
#include "supervisor/system/network.hpp"
#include "supervisor/system/nft_text.hpp"

namespace clat::system {

Result<> Network::take_rules(int tun) {
  auto seen = look_at_rules(tun);
  if (!seen) return std::unexpected(std::move(seen).error());
  rules_[tun] = std::move(*seen);
  return {};
}

Result<> Network::verify_rules(int tun) {
  const auto seen = look_at_rules(tun);
  if (!seen) return std::unexpected(seen.error());
  if (*seen != rules_[tun]) return failure("the rules of nftables were changed");
  return {};
}

Result<std::string> Network::look_at_rules(int tun) {
  if (!nft_table_) return failure("no nftables in this kernel", EPROTONOSUPPORT);
  return nft_table_->look_at(tun);
}

Result<> Network::remove_rules(int tun) {
  if (!rules_.contains(tun) || !nft_table_) return {};
  auto gone = nft_table_->remove(tun);
  if (gone) rules_.erase(tun);
  return gone;
}

model::Counters Network::filter_drops(int tun) {
  model::Counters counters;
  if (!rules_.contains(tun) || !nft_table_) return counters;
  for (const auto& [name, counter] :
       {std::pair("drop_filter", kFilterCounter), std::pair("drop_connected", kConnectedCounter)}) {
    if (const auto packets = nft_table_->count(tun, counter)) counters.emplace_back(name, *packets);
  }
  return counters;
}

Result<> Network::sweep_rules() {
  if (!nft_table_) return {};
  const auto ruled = nft_table_->tuns();
  if (!ruled) return std::unexpected(ruled.error());
  if (ruled->empty()) return {};
  const auto tuns = rtnetlink_.tuns();
  if (!tuns) return std::unexpected(tuns.error());
  Result<> result;
  for (const int tun : *ruled) {
    const auto known = rules_.find(tun);
    if (known != rules_.end() && !known->second.empty()) continue;
    // A carrier has only what somebody holds: another clatvisor, or a clatd that outlived its own.
    const bool held =
        std::ranges::any_of(*tuns, [&](const LinkMessage& each) { return each.link.ifindex == tun && each.carrier; });
    rules_[tun];
    if (!held) note(result, remove_rules(tun));
  }
  return result;
}

}  // namespace clat::system
