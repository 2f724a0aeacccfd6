// The routes that the parts of a CLAT consist of.
#pragma once

#include <vector>

#include "supervisor/model/actions.hpp"
#include "supervisor/system/rtnl_parse.hpp"

namespace clat::system {

// Metrics of our two kinds of IPv6 /128 route. The way into the tun goes before the blackhole where both stand.
constexpr std::uint32_t kTunRouteMetric = 512;
constexpr std::uint32_t kGuardMetric = 1024;

inline HostRoute guard_route(const Ipv6Address& v6) { return {.destination = v6, .device = 0, .metric = kGuardMetric}; }

inline HostRoute tun_route(const model::AnnounceSpec& spec) {
  return {.destination = spec.v6, .device = spec.tun, .metric = kTunRouteMetric};
}

// Behind everybody's: whatever else lies in a prefix of which a part is mapped one to one stays where it is.
constexpr std::uint32_t kRestMetric = 0xfffffffe;

inline HostRoute rest_route(const RangeMapping& range) {
  return {.destination = range.v6.address(), .device = 0, .metric = kRestMetric, .length = range.v6.length()};
}

inline HostRoute range_route(const RangeMapping& range, int tun) {
  const auto covered = range.covered();
  return {.destination = covered.address, .device = tun, .metric = kTunRouteMetric, .length = covered.length};
}

// In the order in which they are made.
inline std::vector<HostRoute> routes_of(const model::AnnounceSpec& spec) {
  std::vector<HostRoute> routes;
  for (const auto& range : spec.ranges) routes.push_back(rest_route(range));
  if (spec.leg != model::Leg::routed) return routes;
  routes.push_back(tun_route(spec));
  for (const auto& range : spec.ranges) routes.push_back(range_route(range, spec.tun));
  return routes;
}

inline DefaultRoute default_route(const model::RouteSpec& spec) {
  return {.device = spec.tun, .source = spec.v4, .metric = spec.metric};
}

}  // namespace clat::system
