#include "supervisor/plan/judge.hpp"

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
  std::vector<Ipv6OnLink> usable;
  std::ranges::copy_if(world.kernel.ipv6.of(ifindex), std::back_inserter(usable),
                       [](const auto& each) { return each.usable; });
  std::ranges::stable_sort(usable, {}, rank);
  std::vector<Ipv6Address> addresses;
  std::ranges::transform(usable, std::back_inserter(addresses), &Ipv6OnLink::address);
  return addresses;
}

std::uint32_t uplink_mtu(const config::Interface& wanted, const Uplink& uplink, const Route& route) {
  const auto least =
      std::min({uplink.mtu, route.mtu.value_or(uplink.mtu), wanted.mtu.value_or(uplink.mtu), kLargestClatMtu});
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
  return Uplink{.ifindex = link->ifindex,
                .layer = link->layer,
                .mac = link->mac,
                .carrier = link->carrier,
                .mtu = link->mtu,
                .prefix = wanted->nat64_prefix,
                .subnets = std::move(subnets)};
}

Reason no_route(const Nat64Prefix& prefix, const Clat& clat) {
  Reason reason{Why::no_route, prefix.text()};
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
  return clat.piece(Part::fast_path).stands() || !clat.fast_path.failed() ? Leg::fast : slow;
}

bool clatd_is_data_path(const World& world, const config::Interface& wanted, const Clat& clat) {
  const auto& announced = clat.piece(Part::announce).have;
  return leg_of(world, wanted, clat) != Leg::fast || (announced && std::get<AnnounceSpec>(*announced).leg != Leg::fast);
}

namespace {

struct Mtus {
  std::uint32_t uplink = 0, lowest_ipv6 = 0;
};

// All that the specs of one CLAT are made from.
struct Makings {
  const config::Config& config;
  const config::Interface& wanted;
  const Uplink& uplink;
  const Clat& clat;
  Mtus mtus;
  Leg leg;
};

bpf::Attachment attachment(const Makings& from) {
  return {.uplink = from.wanted.name,
          .uplink_ifindex = from.uplink.ifindex,
          .tun_ifindex = from.clat.tun,
          .layer = from.uplink.layer,
          .mac = from.uplink.mac,
          .v4 = from.clat.addresses->v4,
          .v6 = from.clat.addresses->v6,
          .prefix = from.uplink.prefix,
          .next_hop = from.clat.route->next_hop,
          .uplink_mtu = from.mtus.uplink,
          .lowest_ipv6_mtu = from.mtus.lowest_ipv6,
          .mark = from.wanted.mark,
          .allow_private_ipv4 = from.wanted.allow_private_ipv4,
          .packet_socket = from.config.clatd.dialect != config::Dialect::native};
}

// IPv6 of clatd goes to the stack where the announcement leads it there, and until there is one, where it will. With
// the legs it changes only after them. A kind of link that has no fast path is left to the stack, too.
bool routes_ipv6_of_clatd(const Makings& from) {
  const auto& announced = from.clat.piece(Part::announce).have;
  const Leg leg = announced ? std::get<AnnounceSpec>(*announced).leg : from.leg;
  return leg != Leg::fast || from.uplink.layer == LinkLayer::other;
}

FilterSpec filter_spec(const Makings& from, TimePoint now) {
  if (from.clat.bpf_filter.at.value_or(now) <= now) {
    return {FilterMeans::bpf, {routes_ipv6_of_clatd(from), attachment(from)}};
  }
  // No more than the rules say, so that nothing else changes them.
  return {.means = FilterMeans::nftables,
          .filter = {.by = {.uplink = from.wanted.name,
                            .tun_ifindex = from.clat.tun,
                            .v4 = from.clat.addresses->v4,
                            .v6 = from.clat.addresses->v6,
                            .prefix = from.uplink.prefix,
                            .allow_private_ipv4 = from.wanted.allow_private_ipv4}}};
}

// What the dialect cannot express is left out, so that a change of it replaces nobody.
ChildSpec child_spec(const Makings& from) {
  ChildSpec child{.dialect = from.config.clatd.dialect,
                  .uplink = from.wanted.name,
                  .uplink_ifindex = from.uplink.ifindex,
                  .path = from.config.clatd.path,
                  .tun = from.clat.tun,
                  .v4 = from.clat.addresses->v4,
                  .v6 = from.clat.addresses->v6,
                  .prefix = from.uplink.prefix};
  if (child.dialect == config::Dialect::native) {
    child.uid = from.config.clatd.uid;
    child.gid = from.config.clatd.gid;
    child.mtu = from.mtus.uplink;
    child.lowest_ipv6_mtu = from.mtus.lowest_ipv6;
    child.icmp_rate = from.config.icmp_rate_per_second;
    child.queues = from.wanted.queues;
    child.allow_private_ipv4 = from.wanted.allow_private_ipv4;
  } else {
    child.mark = from.wanted.mark;
    child.net_id = from.wanted.net_id;
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

Desired desired(const World& world, const std::string& name, const Clat& clat, const Uplink& uplink, TimePoint now) {
  Desired all;
  const auto& wanted = *world.wanted(name);
  const auto [v4, v6] = *clat.addresses;
  const auto mtu = uplink_mtu(wanted, uplink, *clat.route);
  const auto leg = leg_of(world, wanted, clat);
  const Makings makings{*world.config, wanted, uplink, clat, {mtu, wanted.lowest_ipv6_mtu.value_or(mtu)}, leg};
  const auto shape = tun_shape(world, wanted);
  const auto want = [&all](Spec spec) { all[spec.index()] = std::move(spec); };

  want(
      RecordSpec{name, uplink.ifindex, config::tun_name(name), shape, leg, wanted.route_metric, v4, v6, uplink.prefix});
  want(TunSpec{config::tun_name(name), shape, clat.adopt});
  if (clat.tun == 0) return all;
  want(SetupSpec{clat.tun, config::tun_name(name), name, v4, tun_mtu(mtu)});
  if (leg == Leg::fast || stands_on_guard(clat, v6)) want(GuardSpec{v6});
  want(filter_spec(makings, now));
  if (wanted.fast_path != config::FastPathMode::off) want(attachment(makings));
  want(child_spec(makings));
  if (!uplink.carrier || !clat.reachable) return all;
  want(AnnounceSpec{name, uplink.ifindex, clat.tun, v6, leg});
  if (wanted.route_metric && !clat.misses_clatd) want(RouteSpec{clat.tun, v4, *wanted.route_metric});
  return all;
}

std::optional<Reason> hindrance(const Clat& clat, const std::expected<Uplink, Reason>& uplink) {
  if (clat.obstacle) return clat.obstacle;
  if (!uplink) return uplink.error();
  if (!uplink->carrier) return Reason{Why::no_carrier};
  if (!clat.reachable) return no_route(uplink->prefix, clat);
  return std::nullopt;
}

bool is_by_bpf(const std::optional<Spec>& filter) {
  return filter && std::get<FilterSpec>(*filter).means == FilterMeans::bpf;
}

// Why this part, which stands, has to go; those that it stands on are judged already.
std::optional<Reason> why_it_goes(Part part, const Clat& clat, const Outlook& outlook) {
  const auto& piece = clat.piece(part);
  const auto& wanted = outlook.wanted[index(part)];
  if (!piece.have) return std::nullopt;
  if (!wanted) {
    if (outlook.hindrance) return outlook.hindrance;
    return part == Part::route && clat.misses_clatd ? clat.why_no_clatd() : Reason{Why::not_wanted};
  }
  if (part == Part::child && (piece.damaged || clat.child.process.condemned)) return clat.why_no_clatd();
  if (part == Part::child && clat.is_unconfined()) {
    return Reason{.why = Why::unconfined, .error = clat.piece(Part::filter).retry.error};
  }
  if (part == Part::fast_path && !is_by_bpf(outlook.wanted[index(Part::filter)])) {
    return Reason{.why = Why::failure, .error = clat.bpf_filter.error};
  }
  if (*piece.have != *wanted && !changes_in_place(*piece.have, *wanted)) return Reason{Why::settings_changed};
  for (const Part base : kInOrder) {
    if (stands_on(part, base, wanted) && outlook.must_go[index(base)]) return outlook.must_go[index(base)];
  }
  return std::nullopt;
}

}  // namespace

Outlook judge(const World& world, const std::string& name, const Clat& clat, std::expected<Uplink, Reason> uplink,
              TimePoint now) {
  Outlook outlook;
  outlook.hindrance = hindrance(clat, uplink);
  if (uplink && !clat.obstacle && clat.addresses && clat.route)
    outlook.wanted = desired(world, name, clat, *uplink, now);
  for (const Part part : kInOrder) outlook.must_go[index(part)] = why_it_goes(part, clat, outlook);
  outlook.uplink = std::move(uplink);
  return outlook;
}

}  // namespace clat::plan
