// What the host's own firewall does to a CLAT, as far as nftables tells.
#pragma once

#include <optional>

#include "supervisor/model/facts.hpp"
#include "supervisor/model/specs.hpp"
#include "supervisor/system/nftables.hpp"
#include "supervisor/system/sysctl.hpp"

namespace clat::system {

class HostFirewall {
 public:
  explicit HostFirewall(Sysctl sysctl) : sysctl_(std::move(sysctl)) {}

  // Nothing where the kernel has no nftables, or does not answer.
  std::optional<model::Firewall> look(const model::AnnounceSpec& spec);

 private:
  Sysctl sysctl_;
  std::optional<Nftables> nftables_;  // opened when first asked
};

}  // namespace clat::system
