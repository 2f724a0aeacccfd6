// The routes that the parts of a CLAT consist of.
#pragma once

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

inline DefaultRoute default_route(const model::RouteSpec& spec) {
  return {.device = spec.tun, .source = spec.v4, .metric = spec.metric};
}

}  // namespace clat::system
