// What one CLAT should consist of right now.
#pragma once

#include <array>
#include <expected>
#include <optional>
#include <string>

#include "supervisor/plan/world.hpp"

namespace clat::plan {

using Desired = std::array<std::optional<Spec>, kParts>;

// The uplink as the CLAT needs it, or what is missing.
struct Uplink {
  const config::Interface* wanted = nullptr;
  const Link* link = nullptr;
  std::vector<Ipv6Address> subnets;  // usable addresses, the best first
};
std::expected<Uplink, Reason> usable_uplink(const World& world, const std::string& name);

Reason no_route(const config::Interface& wanted, const Clat& clat);

// Empty when nothing can or should exist. Needs the addresses to be chosen.
Desired desired(const World& world, const std::string& name, const Clat& clat);

TunShape tun_shape(const World& world, const config::Interface& wanted);

// The fast one where it is wanted and to be had.
Leg leg_of(const World& world, const config::Interface& wanted, const Clat& clat);

// Whether every packet needs a clatd, on the leg that is wanted or on the one that stands until then.
bool clatd_is_data_path(const World& world, const config::Interface& wanted, const Clat& clat);

}  // namespace clat::plan
