#include "supervisor/system/nft_table.hpp"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string_view>

#include "supervisor/system/nft_request.hpp"
#include "supervisor/system/nft_text.hpp"

namespace clat::system {

namespace {

constexpr std::size_t kLongestName = 256;

// In every request of nf_tables but for tables themselves the first attribute is the name of the table, as there.
Request about(std::uint16_t message, const RuleTable& table) {
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_OBJ_TABLE == 1);
  auto request = nft_request(message, NFPROTO_INET);
  request.put(NFTA_TABLE_NAME, name(table));
  return request;
}

Request batch_mark(std::uint16_t type) {
  return {type, 0,
          nfgenmsg{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htobe16(NFNL_SUBSYS_NFTABLES)}};
}

// Neither nfnetlink nor nf_tables in this kernel.
bool means_no_nftables(const Error& error) {
  return error.code == EPROTONOSUPPORT || error.code == EOPNOTSUPP || error.code == EINVAL;
}

}  // namespace

Result<NftTable> NftTable::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return std::unexpected(std::move(socket).error());
  return NftTable(std::move(*socket));
}

Result<std::vector<RuleTable>> NftTable::all() {
  std::vector<RuleTable> found;
  auto dumped = socket_.dump(
      nft_request(NFT_MSG_GETTABLE, NFPROTO_INET), [&found] { found.clear(); },
      [&found](const Message& message) {
        const auto name = find_attribute(attributes_after<nfgenmsg>(message.payload), NFTA_TABLE_NAME);
        const auto table = parse_table_name(name ? read_text(*name, kLongestName).value_or("") : "");
        if (table) found.push_back(*table);
      });
  if (dumped || means_no_nftables(dumped.error())) return found;
  return std::unexpected(std::move(dumped).error().in("list the tables of nftables"));
}

Result<std::string> NftTable::look_at(const RuleTable& table, const std::vector<std::string_view>& chains) {
  std::string seen;
  // Somebody may have put the whole table to sleep.
  auto asked = socket_.exchange(about(NFT_MSG_GETTABLE, table), [&seen](const Message& message) {
    const auto flags = find_attribute(attributes_after<nfgenmsg>(message.payload), NFTA_TABLE_FLAGS);
    if (flags) seen.assign(flags->begin(), flags->end());
  });
  const NetlinkSocket::MessageSink take = [&seen](const Message& message) {
    const auto all = attributes_after<nfgenmsg>(message.payload);
    seen.append(all.begin(), all.end());
  };
  for (const auto chain_name : chains) {
    auto chain = about(NFT_MSG_GETCHAIN, table);
    chain.put(NFTA_CHAIN_NAME, chain_name);
    if (asked) asked = socket_.exchange(chain, take);
    auto rules = about(NFT_MSG_GETRULE, table);
    rules.put(NFTA_RULE_CHAIN, chain_name);
    const auto before = seen;
    if (asked) asked = socket_.dump(rules, [&] { seen = before; }, take);
  }
  if (!asked) return std::unexpected(std::move(asked).error().in("look at the nftables table " + name(table)));
  return seen;
}

Result<std::uint64_t> NftTable::count(const RuleTable& table, std::string_view counter) {
  auto ask = about(NFT_MSG_GETOBJ, table);
  ask.put(NFTA_OBJ_NAME, counter);
  ask.put(NFTA_OBJ_TYPE, std::uint32_t{htobe32(NFT_OBJECT_COUNTER)});
  std::optional<std::uint64_t> packets_be64;
  auto asked = socket_.exchange(ask, [&packets_be64](const Message& message) {
    const auto data = find_attribute(attributes_after<nfgenmsg>(message.payload), NFTA_OBJ_DATA);
    if (data) packets_be64 = find_as<std::uint64_t>(*data, NFTA_COUNTER_PACKETS);
  });
  if (!asked) return std::unexpected(std::move(asked).error());
  if (!packets_be64) return failure("read a counter of nftables", ENODATA);
  return be64toh(*packets_be64);
}

Result<> NftTable::remove(const RuleTable& table) {
  auto gone = socket_.transact(batch_mark(NFNL_MSG_BATCH_BEGIN), about(NFT_MSG_DELTABLE, table),
                               batch_mark(NFNL_MSG_BATCH_END));
  if (gone || gone.error().code == ENOENT || means_no_nftables(gone.error())) return {};
  return std::unexpected(std::move(gone).error().in("remove the nftables table " + name(table)));
}

}  // namespace clat::system
