#include "supervisor/plan/desired.hpp"

#include <algorithm>
#include <cerrno>

#include "core/net/mtu.hpp"

namespace clat::plan {

namespace {

// A new address in a lasting global subnet is the best base: deprecated ones go away soon, unique local ones reach a
// NAT64 only inside the site. The kernel's order settles ties.
int rank(const Ipv6OnLink& candidate) {
  return (candidate.deprecated ? 4 : 0) + (candidate.address.is_unique_local() ? 2 : 0) + (candidate.temporary ? 1 : 0);
}

std::vector<Ipv6Address> ranked_addresses(const World& world, int ifindex) {
  const auto found = world.kernel.ipv6.find(ifindex);
  if (found == world.kernel.ipv6.end()) return {};
  std::vector<Ipv6OnLink> usable;
  std::ranges::copy_if(found->second, std::back_inserter(usable), [](const auto& each) { return each.usable; });
  std::ranges::stable_sort(usable, {}, rank);
  std::vector<Ipv6Address> addresses;
  std::ranges::transform(usable, std::back_inserter(addresses), &Ipv6OnLink::address);
  return addresses;
}

std::uint32_t uplink_mtu(const config::Interface& wanted, const Link& link, const Route& route) {
  const auto least = std::min({link.mtu, route.mtu.value_or(link.mtu), wanted.mtu.value_or(link.mtu), kLargestMtu});
  return std::max(least, kIpv6MinimumMtu);
}

}  // namespace

std::expected<Uplink, Obstacle> usable_uplink(const World& world, const std::string& name) {
  const auto waiting = [](std::string why) { return std::unexpected(Obstacle{false, std::move(why), 0}); };
  const auto* wanted = world.wanted(name);
  if (wanted == nullptr) return waiting("not configured");
  const auto* link = world.link(name);
  if (link == nullptr) return waiting("no such link");
  if (!link->up) return waiting("the link is down");
  auto subnets = ranked_addresses(world, link->ifindex);
  if (subnets.empty()) return waiting("no global IPv6 address");
  return Uplink{wanted, link, std::move(subnets)};
}

std::string no_route(const config::Interface& wanted) { return "no IPv6 route towards " + wanted.nat64_prefix.text(); }

Leg leg_of(const config::Interface& wanted, const Clat& clat) {
  if (wanted.fast_path == config::FastPathMode::off) return Leg::routed;
  if (wanted.fast_path == config::FastPathMode::required) return Leg::fast;
  return clat.piece(Part::fast_path).have || !clat.fast_path_error ? Leg::fast : Leg::routed;
}

TunShape tun_shape(const config::Interface& wanted) { return {TunFormat::vnet, wanted.queues}; }

Desired desired(const World& world, const std::string& name, const Clat& clat) {
  Desired all;
  const auto uplink = usable_uplink(world, name);
  if (!uplink || clat.obstacle || !clat.addresses || !clat.route) return all;
  const auto& wanted = *uplink->wanted;
  const auto& link = *uplink->link;
  const auto [v4, v6] = *clat.addresses;
  const auto mtu = uplink_mtu(wanted, link, *clat.route);
  const auto lowest_ipv6_mtu = wanted.lowest_ipv6_mtu.value_or(mtu);
  const auto leg = leg_of(wanted, clat);
  const auto want = [&all](Spec spec) { all[spec.index()] = std::move(spec); };

  const auto shape = tun_shape(wanted);
  want(RecordSpec{name, link.ifindex, config::tun_name(name), shape, leg, wanted.route_metric, v4, v6,
                  wanted.nat64_prefix});
  want(TunSpec{config::tun_name(name), shape, clat.adopt});
  if (clat.tun == 0) return all;
  want(SetupSpec{clat.tun, config::tun_name(name), name, v4, tun_mtu(mtu)});
  if (leg == Leg::fast) want(GuardSpec{v6});
  if (wanted.fast_path != config::FastPathMode::off) {
    want(FastPathSpec{name, link.ifindex, clat.tun, link.layer, link.mac, v4, v6, wanted.nat64_prefix,
                      clat.route->next_hop, mtu, lowest_ipv6_mtu, wanted.mark});
  }
  const auto& clatd = world.config->clatd;
  want(ChildSpec{name, clatd.path, clatd.uid, clatd.gid, clat.tun, v4, v6, wanted.nat64_prefix, mtu, lowest_ipv6_mtu,
                 world.config->icmp_rate_per_second, wanted.queues, wanted.allow_private_ipv4});
  if (!link.carrier || !clat.reachable) return all;
  want(AnnounceSpec{name, link.ifindex, clat.tun, v6, leg});
  if (wanted.route_metric) want(RouteSpec{clat.tun, v4, *wanted.route_metric});
  return all;
}

}  // namespace clat::plan
