// Network::verify: what is wanted against what the kernel's tables say.
#include <algorithm>
#include <cerrno>

#include "supervisor/system/network.hpp"
#include "supervisor/system/our_routes.hpp"

namespace clat::system {

namespace {

template <class Value>
Result<> is_among(const std::vector<Value>& values, const Value& wanted, const std::string& missing) {
  if (std::ranges::find(values, wanted) == values.end()) return failure(missing);
  return {};
}

}  // namespace

Result<Network::Stock> Network::take_stock(model::Kernel kernel) {
  Stock stock{.kernel = std::move(kernel), .host_routes = {}, .default_routes = {}, .proxies = {}};
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

Result<> Network::verify(const model::SetupSpec& spec, const Stock& stock) {
  const auto* link = stock.kernel.links.find(spec.tun);
  if (link == nullptr) return failure(spec.tun_name + " is gone", ENODEV);
  if (!link->up) return failure(spec.tun_name + " is down");
  if (link->link_mtu != spec.mtu) {
    return failure(spec.tun_name + " has MTU " + std::to_string(link->link_mtu) + ", not " + std::to_string(spec.mtu));
  }
  const auto addresses = stock.kernel.ipv4.find(spec.tun);
  if (addresses == stock.kernel.ipv4.end()) return failure(spec.tun_name + " has lost " + spec.v4.text());
  return is_among(addresses->second, spec.v4, spec.tun_name + " has lost " + spec.v4.text());
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
  if (spec.leg != model::Leg::routed) return {};
  const auto forwarding = sysctl_.ipv6_forwarding();
  if (!forwarding) return std::unexpected(forwarding.error());
  if (!*forwarding) return failure("net/ipv6/conf/all/forwarding is 0");
  for (const auto& [name, value] :
       {std::pair<SysctlName, std::string>{{"net", "ipv6", "conf", "all", "proxy_ndp"}, "1"},
        {{"net", "ipv6", "neigh", spec.uplink, "proxy_delay"}, "0"}}) {
    const auto now = sysctl_.read(name);
    if (!now) return std::unexpected(now.error());
    if (*now != value) return failure(text(name) + " is " + *now + ", not " + value);
  }
  return is_among(stock.host_routes, tun_route(spec), "no route to " + spec.v6.text() + " into the tun");
}

Result<> Network::verify(const model::RouteSpec& spec, const Stock& stock) {
  return is_among(stock.default_routes, default_route(spec),
                  "no default route of metric " + std::to_string(spec.metric));
}

}  // namespace clat::system
