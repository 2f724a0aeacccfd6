// The host's own firewall, read from nftables. Nothing is changed.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/error.hpp"
#include "supervisor/system/netlink_socket.hpp"
#include "supervisor/system/nft_rules.hpp"

namespace clat::system {

class Nftables {
 public:
  static Result<Nftables> open();

  // The chains of the forward hook, and the rules and sets of their tables. What was read before is returned as long as
  // nobody changed anything.
  Result<const nft::Ruleset*> read();

 private:
  explicit Nftables(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<std::uint32_t> generation();
  Result<nft::Ruleset> read_all();
  void read_set(nft::Ruleset& ruleset, const nft::SetName& set);

  NetlinkSocket socket_;
  std::optional<std::uint32_t> generation_;  // of `ruleset_`
  nft::Ruleset ruleset_;
};

}  // namespace clat::system
