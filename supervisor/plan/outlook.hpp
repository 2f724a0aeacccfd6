// What there is to be of one CLAT, judged once a turn by settle() and read by the plan and the status.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/link_layer.hpp"
#include "core/net/prefix.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/specs.hpp"

namespace clat::plan {

// The uplink as a CLAT needs it, wherever each fact comes from.
struct Uplink {
  int ifindex = 0;
  LinkLayer layer = LinkLayer::other;
  MacAddress mac;
  bool carrier = false;
  std::uint32_t mtu = 0;  // bytes of IPv6
  Nat64Prefix prefix;
  std::vector<Ipv6Address> subnets;  // usable addresses, the best first
};

using Desired = std::array<std::optional<model::Spec>, model::kParts>;

struct Outlook {
  std::expected<Uplink, model::Reason> uplink = std::unexpected(model::Reason{model::Why::no_link});
  std::optional<model::Reason> hindrance;  // why it carries no IPv4, other than for what clatvisor has yet to do
  Desired wanted;                          // empty when nothing can or should exist
  std::array<std::optional<model::Reason>, model::kParts> must_go;  // of what stands
};

}  // namespace clat::plan
