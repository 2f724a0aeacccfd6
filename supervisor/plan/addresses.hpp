// Which addresses a CLAT has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "supervisor/model/notices.hpp"
#include "supervisor/plan/world.hpp"

namespace clat::plan {

// Whether addresses that were chosen before still fit config, uplink and host.
bool still_fit(const World& world, const std::string& name, const Uplink& uplink, const Addresses& addresses);

// Whether there is a better subnet than that of `v6`, which is deprecated (RFC 9096: the provider renumbers).
bool is_left_at_once(const Uplink& uplink, const Ipv6Address& v6);

// Whether the uplink has IPv4 of its own, and is to have no CLAT then. An address of RFC 3927 is none.
bool is_held_by_native_ipv4(const World& world, const std::string& name, const Clat& clat, const Uplink& uplink);

// Those of an earlier supervisor's record that fits, those it has, or new ones. Returns what stands in the way.
std::optional<Reason> find_addresses(World& world, const std::string& name, Clat& clat, const Uplink& uplink,
                                     TimePoint now, std::vector<Notice>& notices);

}  // namespace clat::plan
