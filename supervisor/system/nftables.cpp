#include "supervisor/system/nftables.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>

#include <cerrno>
#include <set>
#include <string>
#include <utility>

#include "supervisor/system/nft_request.hpp"

namespace clat::system {

Result<Nftables> Nftables::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return std::unexpected(std::move(socket).error());
  return Nftables(std::move(*socket));
}

Result<std::uint32_t> Nftables::generation() {
  std::uint32_t generation = 0;
  auto asked = socket_.exchange(nft_request(NFT_MSG_GETGEN, NFPROTO_UNSPEC), [&](const Message& message) {
    const auto id = find_as<std::uint32_t>(attributes_after<nfgenmsg>(message.payload), NFTA_GEN_ID);
    if (id) generation = ntohl(*id);
  });
  if (!asked) return std::unexpected(std::move(asked).error().in("read the generation of nftables"));
  return generation;
}

Result<nft::Ruleset> Nftables::read_all() {
  nft::Ruleset ruleset;
  auto chains = socket_.dump(
      nft_request(NFT_MSG_GETCHAIN, NFPROTO_UNSPEC), [&] { ruleset = {}; },
      [&](const Message& message) { nft::add_chain(ruleset, message); });
  if (!chains) return std::unexpected(std::move(chains).error().in("list the chains of nftables"));
  std::set<std::pair<std::uint8_t, std::string>> tables;
  for (const auto& [name, drops] : ruleset.forward) tables.emplace(std::get<0>(name), std::get<1>(name));
  for (const auto& [family, table] : tables) {
    auto rules = nft_request(NFT_MSG_GETRULE, family);
    rules.put(NFTA_RULE_TABLE, table);
    nft::Ruleset of_table;
    auto dumped =
        socket_.dump(rules, [&] { of_table = {}; }, [&](const Message& message) { nft::add_rule(of_table, message); });
    if (!dumped) return std::unexpected(std::move(dumped).error().in("list the rules of " + table));
    ruleset.rules.merge(of_table.rules);
  }
  for (const auto& set : nft::sets_asked(ruleset)) read_set(ruleset, set);
  return ruleset;
}

// One that cannot be read, or not be understood, stays unknown.
void Nftables::read_set(nft::Ruleset& ruleset, const nft::SetName& set) {
  const auto& [family, table, name] = set;
  auto question = nft_request(NFT_MSG_GETSET, family);
  question.put(NFTA_SET_TABLE, table);
  question.put(NFTA_SET_NAME, name);
  bool plain = false;
  const auto asked = socket_.exchange(question, [&](const Message& message) { plain = nft::is_plain_set(message); });
  if (!asked || !plain) return;
  auto elements = nft_request(NFT_MSG_GETSETELEM, family);
  elements.put(NFTA_SET_ELEM_LIST_TABLE, table);
  elements.put(NFTA_SET_ELEM_LIST_SET, name);
  const auto restart = [&] { ruleset.sets[set].clear(); };
  const auto dumped =
      socket_.dump(elements, restart, [&](const Message& message) { nft::add_elements(ruleset, message); });
  if (!dumped) ruleset.sets.erase(set);
}

Result<const nft::Ruleset*> Nftables::read() {
  const auto now = generation();
  if (!now) return std::unexpected(now.error());
  if (generation_ == *now) return &ruleset_;
  generation_.reset();
  auto ruleset = read_all();
  if (!ruleset) return std::unexpected(std::move(ruleset).error());
  ruleset_ = std::move(*ruleset);
  generation_ = *now;
  return &ruleset_;
}

}  // namespace clat::system
