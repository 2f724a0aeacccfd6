// What there is to be of one CLAT, judged once a turn by settle() and read by the plan and the status.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/ipv6_prefix.hpp"
#include "core/net/link_layer.hpp"
#include "core/net/prefix.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/specs.hpp"

namespace clat::plan {

// Where the CLAT's own IPv6 address may lie, and how good that is: a CLAT moves to a smaller rank.
struct ClatSubnet {
  enum class Rank : std::uint8_t { good, other_scope, deprecated };
  Ipv6Prefix prefix;  // of a length that make_clat_ipv6() takes
  Rank rank = Rank::good;
};

// The uplink as a CLAT needs it, wherever each fact comes from.
struct Uplink {
  int ifindex = 0;
  LinkLayer layer = LinkLayer::other;
  MacAddress mac;
  bool carrier = false;
  std::uint32_t mtu = 0;  // bytes of IPv6
  Nat64Prefix prefix;
  std::vector<ClatSubnet> subnets;  // the best first; none where the address is fixed
  std::optional<Ipv6Address> own;   // the address of the host's own that is the best source towards the NAT64
};

using Desired = std::array<std::optional<model::Spec>, model::kParts>;

struct Outlook {
  std::expected<Uplink, model::Reason> uplink = std::unexpected(model::Reason{model::Why::no_link});
  std::optional<model::Reason> hindrance;  // why it carries no IPv4, other than for what clatvisor has yet to do
  Desired wanted;                          // empty when nothing can or should exist
  std::array<std::optional<model::Reason>, model::kParts> must_go;  // of what stands
};

}  // namespace clat::plan
