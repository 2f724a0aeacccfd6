// Network::verify: what is wanted against what the kernel's tables say.
#include <algorithm>
#include <cerrno>

#include "supervisor/system/network.hpp"
#include "supervisor/system/our_routes.hpp"
#include "supervisor/system/tun_sysctls.hpp"

namespace clat::system {

namespace {

template <class Value>
Result<> is_among(const std::vector<Value>& values, const Value& wanted, const std::string& missing) {
  if (std::ranges::find(values, wanted) == values.end()) return failure(missing);
  return {};
}

}  // namespace

Result<Network::Stock> Network::take_stock(model::Kernel kernel, std::vector<LinkMessage> tuns) {
  Stock stock{.kernel = std::move(kernel),
              .tuns = {},
              .sysctls_due = {},
              .host_routes = {},
              .default_routes = {},
              .proxies = {}};
  for (auto& each : tuns) stock.tuns.emplace(each.link.ifindex, std::move(each));
  auto turn = stock.tuns.upper_bound(last_sysctls_);
  for (std::size_t i = 0; i < std::min(kSysctlsPerAudit, stock.tuns.size()); ++i, ++turn) {
    if (turn == stock.tuns.end()) turn = stock.tuns.begin();
    last_sysctls_ = turn->first;
    stock.sysctls_due.insert(last_sysctls_);
  }
  auto host_routes = rtnetlink_.host_routes();
  if (!host_routes) return std::unexpected(std::move(host_routes).error());
  stock.host_routes = std::move(*host_routes);
  auto default_routes = rtnetlink_.default_routes();
  if (!default_routes) return std::unexpected(std::move(default_routes).error());
  stock.default_routes = std::move(*default_routes);
  auto proxies = rtnetlink_.proxies();
  if (!proxies) return std::unexpected(std::move(proxies).error());
  stock.proxies = std::move(*proxies);
  return stock;
}

Result<> Network::verify(const std::string& uplink, const model::TunSpec& spec, const Stock& stock) const {
  const auto held = tuns_.find(uplink);
  if (held == tuns_.end()) return failure(spec.name + " is not open");
  const auto* link = stock.kernel.links.find(held->second.ifindex);
  if (link == nullptr) return failure(spec.name + " is gone", ENODEV);
  if (link->name != spec.name) return failure(spec.name + " is now called " + link->name, ENODEV);
  return {};
}

namespace {

Result<> is_set_to(const Sysctl& sysctl, const SysctlName& name, const std::string& value) {
  const auto now = sysctl.read(name);
  if (!now) return std::unexpected(now.error());
  if (*now != value) return failure(text(name) + " is " + *now + ", not " + value);
  return {};
}

Result<> has_its_sysctls(const Sysctl& sysctl, const std::string& tun) {
  if (auto loose = is_set_to(sysctl, rp_filter(tun), kLooseRpFilter); !loose) return loose;
  for (auto set :
       {is_set_to(sysctl, disable_ipv6(tun), kIpv6Enabled), is_set_to(sysctl, addr_gen_mode(tun), kNoAddresses)}) {
    if (!set && set.error().code != ENOENT) return set;
  }
  return {};
}

}  // namespace

Result<> Network::verify(const model::SetupSpec& spec, const Stock& stock) const {
  const auto* found = stock.find_tun(spec.tun);
  if (found == nullptr) return failure(spec.tun_name + " is gone", ENODEV);
  const auto& tun = *found;
  if (!tun.link.up) return failure(spec.tun_name + " is down");
  if (tun.link.link_mtu != spec.mtu) {
    return failure(spec.tun_name + " has MTU " + std::to_string(tun.link.link_mtu) + ", not " +
                   std::to_string(spec.mtu));
  }
  if (tun.alias != tun_alias(spec.uplink)) return failure(spec.tun_name + " has the alias \"" + tun.alias + "\"");
  if (tun.largest_offload > kLargestOffload) {
    return failure(spec.tun_name + " takes packets of " + std::to_string(tun.largest_offload) + " bytes");
  }
  if (std::ranges::count(stock.kernel.ipv4.of(spec.tun), spec.v4, &model::Ipv4OnLink::address) == 0) {
    return failure(spec.tun_name + " has lost " + spec.v4.text());
  }
  return stock.sysctls_due.contains(spec.tun) ? has_its_sysctls(sysctl_, spec.tun_name) : Result<>();
}

Result<> Network::verify(const model::GuardSpec& spec, const Stock& stock) {
  return is_among(stock.host_routes, guard_route(spec.v6), "no blackhole route for " + spec.v6.text());
}

Result<> Network::verify(const model::AnnounceSpec& spec, const Stock& stock) const {
  if (std::ranges::none_of(stock.proxies, [&](const ProxyNeighbour& proxy) {
        return proxy.device == spec.uplink_ifindex && proxy.address == spec.v6;
      })) {
    return failure("no proxy neighbour " + spec.v6.text() + " on " + spec.uplink);
  }
  for (const auto& route : routes_of(spec)) {
    const auto missing = "no route to " + route.destination.text() + (route.device != 0 ? " into the tun" : " nowhere");
    if (auto there = is_among(stock.host_routes, route, missing); !there) return there;
  }
  if (spec.leg != model::Leg::routed) return {};
  const auto forwarding = sysctl_.ipv6_forwarding();
  if (!forwarding) return std::unexpected(forwarding.error());
  if (!*forwarding) return failure("net/ipv6/conf/all/forwarding is 0");
  for (const auto& [name, value] :
       {std::pair<SysctlName, std::string>{{"net", "ipv6", "conf", "all", "proxy_ndp"}, "1"},
        {{"net", "ipv6", "neigh", spec.uplink, "proxy_delay"}, "0"}}) {
    if (auto set = is_set_to(sysctl_, name, value); !set) return set;
  }
  return {};
}

namespace {

Result<> is_there(const model::RouteSpec& spec, const std::vector<DefaultRoute>& routes) {
  return is_among(routes, default_route(spec), "no default route of metric " + std::to_string(spec.metric));
}

}  // namespace

Result<> Network::verify(const model::RouteSpec& spec, const Stock& stock) {
  return is_there(spec, stock.default_routes);
}

Result<> Network::verify(const model::RouteSpec& spec) {
  const auto routes = rtnetlink_.default_routes();
  if (!routes) return std::unexpected(routes.error());
  return is_there(spec, *routes);
}

}  // namespace clat::system
