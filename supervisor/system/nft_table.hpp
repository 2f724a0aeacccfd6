// Our tables of nftables as the kernel has them, one for each tun. What goes into one is text for nft (nft_text.hpp);
// this looks and takes away, which needs no nft.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "supervisor/system/netlink_socket.hpp"

namespace clat::system {

class NftTable {
 public:
  static Result<NftTable> open();

  // Ifindexes of the tuns that have one. None where the kernel has no nftables.
  Result<std::vector<int>> tuns();
  // Everything that makes it what it is, as bytes to be compared. ENOENT: it is gone.
  Result<std::string> look_at(int tun);
  // Packets, of one of its counters (nft_text.hpp).
  Result<std::uint64_t> count(int tun, std::string_view counter);
  // Fine when it was gone.
  Result<> remove(int tun);

 private:
  explicit NftTable(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace clat::system
