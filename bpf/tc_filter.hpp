// One filter of a clsact qdisc, as the kernel tells it in a dump or a notification (RTM_NEWTFILTER).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "bpf/ingress.hpp"

namespace clat::bpf {

struct TcFilter {
  std::uint32_t handle = 0;
  std::uint32_t chain = 0;     // packets begin in chain 0
  std::uint16_t pref = 0;      // the filter of the smallest runs first
  std::uint16_t protocol = 0;  // the only EtherType that it looks at, or ETH_P_ALL
  std::string kind = {};       // "bpf", "matchall"
  std::string program = {};    // of a BPF filter: its program's name, as given by whoever attached it
  std::uint32_t program_id = 0;
  // It redirects, passes or steals every packet of its protocol, so no filter behind it gets one. False where it drops
  // them all: that is somebody's will. False as well where nobody can tell, as of a BPF filter.
  bool takes_all = false;
  // It hands all that it takes to another device, and does no more with it than a copy can do.
  std::optional<Redirect> redirect = {};
  bool is_complete = false;  // else it is a table of filters, or the kernel tells only that there is something

  bool operator==(const TcFilter&) const = default;
};

// `message`: what follows the netlink header. Nothing when that is no filter.
std::optional<TcFilter> parse_filter(std::span<const std::byte> message);

// The attribute in which a filter of this kind has its actions; none: it can match more than all or nothing.
std::optional<std::uint16_t> actions_of(std::string_view kind);

// Filters of an ingress hook are added in the order in which the kernel tells them: what becomes of IPv6 that none of
// our programs takes before.
void add_to(Ingress& ingress, const TcFilter& filter);

}  // namespace clat::bpf
