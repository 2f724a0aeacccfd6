// A message to nf_tables.
#pragma once

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cstdint>

#include "supervisor/system/netlink_socket.hpp"

namespace clat::system {

// `message`: NFT_MSG_*; `family`: NFPROTO_*.
inline Request nft_request(std::uint16_t message, std::uint8_t family) {
  const nfgenmsg header{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0};
  return Request(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message), 0, header);
}

}  // namespace clat::system
