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

std::expected<Uplink, Reason> usable_uplink(const World& world, const std::string& name) {
  const auto waiting = [](Why why) { return std::unexpected(Reason{why}); };
  const auto* wanted = world.wanted(name);
  if (wanted == nullptr) return waiting(world.stopping ? Why::stopping : Why::removed_from_config);
  const auto* link = world.link(name);
  if (link == nullptr) return waiting(Why::no_link);
  if (!link->up) return waiting(Why::link_down);
  auto subnets = ranked_addresses(world, link->ifindex);
  if (subnets.empty()) return waiting(Why::no_ipv6_address);
  return Uplink{wanted, link, std::move(subnets)};
}

Reason no_route(const config::Interface& wanted, const Clat& clat) {
  Reason reason{Why::no_route, wanted.nat64_prefix.text()};
  if (clat.route_refusal != 0) reason.error = Error{"", clat.route_refusal};
  return reason;
}

TunShape tun_shape(const World& world, const config::Interface& wanted) {
  const bool native = world.config->clatd.dialect == config::Dialect::native;
  return {native ? TunFormat::vnet : TunFormat::packet_info, wanted.queues};
}

Leg leg_of(const World& world, const config::Interface& wanted, const Clat& clat) {
  const Leg slow = world.config->clatd.dialect == config::Dialect::native ? Leg::routed : Leg::anycast;
  if (wanted.fast_path == config::FastPathMode::off) return slow;
  if (wanted.fast_path == config::FastPathMode::required) return Leg::fast;
  return clat.piece(Part::fast_path).stands() || !clat.fast_path_error ? Leg::fast : slow;
}

bool clatd_is_data_path(const World& world, const config::Interface& wanted, const Clat& clat) {
  const auto& announced = clat.piece(Part::announce).have;
  return leg_of(world, wanted, clat) != Leg::fast || (announced && std::get<AnnounceSpec>(*announced).leg != Leg::fast);
}

namespace {

struct Mtus {
  std::uint32_t uplink = 0, lowest_ipv6 = 0;
};

FastPathSpec fast_path_spec(const config::Config& config, const Uplink& uplink, const Clat& clat, const Mtus& mtus) {
  return {.uplink = uplink.wanted->name,
          .uplink_ifindex = uplink.link->ifindex,
          .tun_ifindex = clat.tun,
          .layer = uplink.link->layer,
          .mac = uplink.link->mac,
          .v4 = clat.addresses->v4,
          .v6 = clat.addresses->v6,
          .prefix = uplink.wanted->nat64_prefix,
          .next_hop = clat.route->next_hop,
          .uplink_mtu = mtus.uplink,
          .lowest_ipv6_mtu = mtus.lowest_ipv6,
          .mark = uplink.wanted->mark,
          .private_in_wkp = uplink.wanted->allow_private_ipv4,
          .packet_socket = config.clatd.dialect != config::Dialect::native};
}

// What the dialect cannot express is left out, so that a change of it replaces nobody.
ChildSpec child_spec(const config::Config& config, const Uplink& uplink, const Clat& clat, const Mtus& mtus) {
  const auto& wanted = *uplink.wanted;
  ChildSpec child{.dialect = config.clatd.dialect,
                  .uplink = wanted.name,
                  .uplink_ifindex = uplink.link->ifindex,
                  .path = config.clatd.path,
                  .tun = clat.tun,
                  .v4 = clat.addresses->v4,
                  .v6 = clat.addresses->v6,
                  .prefix = wanted.nat64_prefix};
  if (child.dialect == config::Dialect::native) {
    child.uid = config.clatd.uid;
    child.gid = config.clatd.gid;
    child.mtu = mtus.uplink;
    child.lowest_ipv6_mtu = mtus.lowest_ipv6;
    child.icmp_rate = config.icmp_rate_per_second;
    child.queues = wanted.queues;
    child.allow_private_ipv4 = wanted.allow_private_ipv4;
  } else {
    child.mark = wanted.mark;
    child.net_id = wanted.net_id;
  }
  return child;
}

// Until the other leg stands the blackhole is needed, and so is the way back: the other leg may not be to be had.
bool stands_on_guard(const Clat& clat, const Ipv6Address& v6) {
  const auto& announced = clat.piece(Part::announce).have;
  if (!announced) return false;
  const auto& spec = std::get<AnnounceSpec>(*announced);
  return spec.leg == Leg::fast && spec.v6 == v6;
}

}  // namespace

Desired desired(const World& world, const std::string& name, const Clat& clat) {
  Desired all;
  const auto uplink = usable_uplink(world, name);
  if (!uplink || clat.obstacle || !clat.addresses || !clat.route) return all;
  const auto& wanted = *uplink->wanted;
  const auto& link = *uplink->link;
  const auto [v4, v6] = *clat.addresses;
  const auto mtu = uplink_mtu(wanted, link, *clat.route);
  const Mtus mtus{mtu, wanted.lowest_ipv6_mtu.value_or(mtu)};
  const auto leg = leg_of(world, wanted, clat);
  const auto shape = tun_shape(world, wanted);
  const auto want = [&all](Spec spec) { all[spec.index()] = std::move(spec); };

  want(RecordSpec{name, link.ifindex, config::tun_name(name), shape, leg, wanted.route_metric, v4, v6,
                  wanted.nat64_prefix});
  want(TunSpec{config::tun_name(name), shape, clat.adopt});
  if (clat.tun == 0) return all;
  want(SetupSpec{clat.tun, config::tun_name(name), name, v4, tun_mtu(mtu)});
  if (leg == Leg::fast || stands_on_guard(clat, v6)) want(GuardSpec{v6});
  if (wanted.fast_path != config::FastPathMode::off) want(fast_path_spec(*world.config, *uplink, clat, mtus));
  want(child_spec(*world.config, *uplink, clat, mtus));
  if (!link.carrier || !clat.reachable) return all;
  want(AnnounceSpec{name, link.ifindex, clat.tun, v6, leg});
  if (wanted.route_metric && !clat.misses_clatd) want(RouteSpec{clat.tun, v4, *wanted.route_metric});
  return all;
}

}  // namespace clat::plan
