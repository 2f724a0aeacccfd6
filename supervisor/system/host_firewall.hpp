// What the host's own firewall does to a CLAT, as far as nftables tells.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "supervisor/model/facts.hpp"
#include "supervisor/model/specs.hpp"
#include "supervisor/system/nftables.hpp"
#include "supervisor/system/sysctl.hpp"

namespace clat::system {

class HostFirewall {
 public:
  explicit HostFirewall(Sysctl sysctl) : sysctl_(std::move(sysctl)) {}

  // What holds for all tuns at one moment.
  struct Snapshot {
    const nft::Ruleset* ruleset = nullptr;  // until the next read()
    bool forwards_ipv4 = false;
    std::vector<std::string> lans = {};  // links that are running and have an IPv4 subnet, while it forwards
  };
  // Nothing where the kernel has no nftables, or does not answer.
  std::optional<Snapshot> read();
  static model::Firewall look(const Snapshot& host, const model::AnnounceSpec& spec, const std::string& tun_name);

 private:
  Sysctl sysctl_;
  std::optional<Nftables> nftables_;  // opened when first asked
};

}  // namespace clat::system
