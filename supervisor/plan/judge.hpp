// From the World to the Outlook of one CLAT. Pure; settle() asks once a turn.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "supervisor/plan/world.hpp"

namespace clat::plan {

// Or what is missing.
std::expected<Uplink, Reason> usable_uplink(const World& world, const std::string& name);

// As the CLAT's packets would go, then as the host's own (a rule may name nothing but its address), then as anybody's.
WayTo way_to_nat64(const config::Interface& wanted, const Clat& clat, const Uplink& uplink);

// The address of the uplink that its DNS is asked from; none: there is none yet.
std::optional<Ipv6Address> dns_source(const World& world, const std::string& name);

std::optional<Ipv6Address> link_local_address(const World& world, int ifindex);

Reason no_route(const Nat64Prefix& prefix, const Clat& clat);

// Needs the addresses to be chosen, and the obstacle, if there is one, to be known.
Outlook judge(const World& world, const std::string& name, const Clat& clat, std::expected<Uplink, Reason> uplink,
              TimePoint now);

TunShape tun_shape(const World& world, const config::Interface& wanted);

// The fast one where it is wanted and to be had. What is taken over on the slow one stays there until all of it is.
Leg leg_of(const World& world, const config::Interface& wanted, const Clat& clat);

// Whether every packet needs a clatd, on the leg that is wanted or on the one that stands until then.
bool clatd_is_data_path(const World& world, const config::Interface& wanted, const Clat& clat);

}  // namespace clat::plan
