// Our tables of nftables as the kernel has them. What goes into one is text for nft (nft_text.hpp);
// this looks and takes away, which needs no nft.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "supervisor/system/netlink_socket.hpp"
#include "supervisor/system/nft_text.hpp"

namespace clat::system {

class NftTable {
 public:
  static Result<NftTable> open();

  // All of ours. None where the kernel has no nftables.
  Result<std::vector<RuleTable>> all();
  // Everything that makes it what it is, as bytes to be compared: its flags, these chains and their rules. ENOENT: it
  // is gone, or one of them is.
  Result<std::string> look_at(const RuleTable& table, const std::vector<std::string_view>& chains);
  // Packets, of one of its counters (nft_text.hpp).
  Result<std::uint64_t> count(const RuleTable& table, std::string_view counter);
  // Fine when it was gone.
  Result<> remove(const RuleTable& table);

 private:
  explicit NftTable(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace clat::system
