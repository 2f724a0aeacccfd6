#include "supervisor/plan/judge.hpp"

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "core/net/clat_address.hpp"
#include "core/net/mtu.hpp"
#include "supervisor/plan/shaping.hpp"

namespace clat::plan {

namespace {

// RFC 6724 §2.1 as far as it tells the two scopes of a site apart: a NAT64 among unique local addresses is reached from
// these, a global one from global ones.
bool is_of_scope(const Ipv6Address& address, const Nat64Prefix& prefix) {
  return address.is_unique_local() == prefix.address().is_unique_local();
}

// RFC 6724 §5, rules 3, 6 and 8; a temporary address last, as a CLAT is to last. The kernel's order settles ties.
auto rank_towards(const Nat64Prefix& prefix) {
  return [prefix](const Ipv6OnLink& each) {
    const auto common = std::min<unsigned>(common_prefix_length(each.address, prefix.address()), each.length);
    return std::tuple(each.deprecated, !is_of_scope(each.address, prefix), 128 - common, each.temporary);
  };
}

std::vector<Ipv6OnLink> usable_addresses(const World& world, int ifindex, const Nat64Prefix& prefix) {
  std::vector<Ipv6OnLink> usable;
  std::ranges::copy_if(world.kernel.ipv6.of(ifindex), std::back_inserter(usable), &Ipv6OnLink::usable);
  std::ranges::stable_sort(usable, {}, rank_towards(prefix));
  return usable;
}

ClatSubnet subnet_of(const Ipv6OnLink& each, const Nat64Prefix& prefix) {
  const unsigned length = std::max<unsigned>(each.length, kShortestClatSubnet);
  const auto scope = is_of_scope(each.address, prefix) ? ClatSubnet::Rank::good : ClatSubnet::Rank::other_scope;
  return {Ipv6Prefix{each.address, length}.masked(), each.deprecated ? ClatSubnet::Rank::deprecated : scope};
}

// The last /64 of a delegated prefix in which the host has no address; of a single /64 that one: it is routed here.
std::optional<Ipv6Prefix> free_subnet(const World& world, const Ipv6Prefix& delegated) {
  if (delegated.length >= kShortestClatSubnet) return delegated;
  constexpr unsigned kTries = 256;
  Ipv6Prefix subnet{delegated.address, kShortestClatSubnet};
  for (unsigned bit = delegated.length; bit < kShortestClatSubnet; ++bit) {
    subnet.address.bytes[bit / 8] |= static_cast<std::uint8_t>(0x80U >> bit % 8);
  }
  for (unsigned i = 0; i < kTries && delegated.contains(subnet.address); ++i) {
    if (!world.kernel.ipv6.any_address([&](const auto& address) { return subnet.contains(address); })) return subnet;
    for (std::size_t octet = 7; subnet.address.bytes[octet]-- == 0; --octet) {
    }
  }
  return std::nullopt;
}

// Of what is delegated to another interface of this host.
std::expected<std::vector<ClatSubnet>, Reason> subnets_from(const World& world, const std::string& name,
                                                            const Nat64Prefix& prefix) {
  std::vector<ClatSubnet> subnets;
  if (const auto* link = world.link(name)) {
    for (const auto& each : usable_addresses(world, link->ifindex, prefix)) {
      if (each.length > kShortestClatSubnet) continue;
      auto subnet = subnet_of(each, prefix);
      const auto free = free_subnet(world, Ipv6Prefix{each.address, each.length}.masked());
      if (!free) continue;
      subnet.prefix = *free;
      subnets.push_back(subnet);
    }
  }
  if (subnets.empty()) return std::unexpected(Reason{Why::no_delegated_prefix, name});
  return subnets;
}

// Of a prefix that is routed to this host, the first /64 or what there is.
std::vector<ClatSubnet> routed_here(const Ipv6Prefix& source) {
  return {ClatSubnet{{source.address, std::max(source.length, kShortestClatSubnet)}}};
}

std::expected<std::vector<ClatSubnet>, Reason> clat_subnets(const World& world, const config::Interface& wanted,
                                                            const Nat64Prefix& prefix,
                                                            const std::vector<Ipv6OnLink>& own) {
  if (wanted.ipv6_address) return std::vector<ClatSubnet>{};
  if (wanted.ipv6_source) {
    if (const auto* from = std::get_if<std::string>(&*wanted.ipv6_source)) {
      return subnets_from(world, *from, prefix);
    }
    return routed_here(std::get<Ipv6Prefix>(*wanted.ipv6_source));
  }
  std::vector<ClatSubnet> subnets;
  for (const auto& each : own) {
    if (each.length <= kLongestClatSubnet) subnets.push_back(subnet_of(each, prefix));
  }
  // Beside what is mapped there: what is in none of the ranges is free.
  if (subnets.empty() && !wanted.ranges.empty()) return routed_here(wanted.ranges.front().v6.as_prefix());
  if (own.empty()) return std::unexpected(Reason{Why::no_ipv6_address});
  if (subnets.empty()) {
    return std::unexpected(Reason{Why::subnet_too_small, Ipv6Prefix{own[0].address, own[0].length}.masked().text()});
  }
  return subnets;
}

// What is mapped has to be routed to this host: for addresses that are on a link somebody would ask its neighbours,
// and nobody answers.
std::optional<Reason> source_on_link(const World& world, const config::Interface& wanted) {
  std::optional<Reason> found;
  for (const auto& range : wanted.ranges) {
    world.kernel.ipv6.for_each([&](int ifindex, const Ipv6OnLink& each) {
      if (found || !overlap(range.covered(), Ipv6Prefix{each.address, each.length}.masked())) return;
      const auto* link = world.kernel.links.find(ifindex);
      found = Reason{Why::source_on_link, range.v6.text() + " on " + (link == nullptr ? "a link" : link->name)};
    });
  }
  return found;
}

std::uint32_t uplink_mtu(const config::Interface& wanted, const Uplink& uplink, const Route& route) {
  const auto least =
      std::min({uplink.mtu, route.mtu.value_or(uplink.mtu), wanted.mtu.value_or(uplink.mtu), kLargestClatMtu});
  return std::max(least, kIpv6MinimumMtu);
}

// That of the config, or the one that was discovered.
std::optional<Nat64Prefix> nat64_prefix(const World& world, const std::string& name) {
  const auto* wanted = world.wanted(name);
  if (wanted == nullptr || wanted->nat64_prefix) return wanted == nullptr ? std::nullopt : wanted->nat64_prefix;
  const auto clat = world.clats.find(name);
  return clat == world.clats.end() ? std::nullopt : clat->second.discovered;
}

// The host may not heed what its routers say of the MTU (accept_ra); those that are in the way do.
std::uint32_t link_mtu(const World& world, const Link& link) {
  const auto clat = world.clats.find(link.name);
  return clat == world.clats.end() ? link.mtu : std::min(link.mtu, clat->second.advertised_mtu.value_or(link.mtu));
}

}  // namespace

std::expected<Uplink, Reason> usable_uplink(const World& world, const std::string& name) {
  const auto waiting = [](Why why) { return std::unexpected(Reason{why}); };
  const auto* interface = world.interface(name);
  if (interface == nullptr && world.stopping) return waiting(Why::stopping);
  // A link of a pattern may be gone.
  if (interface == nullptr) return waiting(world.link(name) == nullptr ? Why::no_link : Why::removed_from_config);
  if (interface->refusal) return std::unexpected(*interface->refusal);
  const auto* wanted = &interface->wanted;
  const auto* link = world.link(name);
  if (link == nullptr) return waiting(Why::no_link);
  if (!link->up) return waiting(Why::link_down);
  const auto prefix = nat64_prefix(world, name);
  if (!prefix) return waiting(Why::no_prefix);
  if (auto on_link = source_on_link(world, *wanted)) return std::unexpected(*std::move(on_link));
  const auto own = usable_addresses(world, link->ifindex, *prefix);
  auto subnets = clat_subnets(world, *wanted, *prefix, own);
  if (!subnets) return std::unexpected(std::move(subnets).error());
  return Uplink{.ifindex = link->ifindex,
                .layer = link->layer,
                .mac = link->mac,
                .carrier = link->carrier,
                .mtu = link_mtu(world, *link),
                .prefix = *prefix,
                .subnets = *std::move(subnets),
                .own = own.empty() ? std::nullopt : std::optional(own[0].address)};
}

WayTo way_to_nat64(const config::Interface& wanted, const Clat& clat, const Uplink& uplink) {
  WayTo way{.destination = uplink.prefix.address(), .ifindex = uplink.ifindex, .mark = wanted.mark};
  if (clat.addresses)
    way.sources.push_back(clat.addresses->v6);
  else if (wanted.ipv6_address)
    way.sources.push_back(*wanted.ipv6_address);
  else
    way.sources.push_back(uplink.subnets.front().prefix.address);
  if (uplink.own && *uplink.own != way.sources.front()) way.sources.push_back(*uplink.own);
  way.dead = clat.dead_routers.all;
  return way;
}

std::optional<Ipv6Address> dns_source(const World& world, const std::string& name) {
  const auto* link = world.link(name);
  if (link == nullptr || !link->carrier) return std::nullopt;
  const auto addresses = world.kernel.ipv6.of(link->ifindex);
  const auto best = std::ranges::min_element(
      addresses, {}, [](const Ipv6OnLink& each) { return std::pair(!each.usable, each.deprecated); });
  return best == addresses.end() || !best->usable ? std::nullopt : std::optional(best->address);
}

std::optional<Ipv6Address> link_local_address(const World& world, int ifindex) {
  const auto addresses = world.kernel.ipv6.of(ifindex);
  const auto found = std::ranges::find_if(addresses, [](const auto& each) { return each.address.is_link_local(); });
  return found == addresses.end() ? std::nullopt : std::optional(found->address);
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

namespace {

// Of what an earlier supervisor left, from before it is judged until all of it is taken over.
const RecordSpec* record_taken_over(const World& world, const std::string& name, const Clat& clat) {
  const auto leftover = world.leftovers.find(name);
  if (leftover != world.leftovers.end() && !leftover->second.unfit) return &leftover->second.record;
  const auto& record = clat.piece(Part::record).have;
  return clat.takes_over && record ? &std::get<RecordSpec>(*record) : nullptr;
}

}  // namespace

Leg leg_of(const World& world, const config::Interface& wanted, const Clat& clat) {
  const Leg slow = world.config->clatd.dialect == config::Dialect::native ? Leg::routed : Leg::anycast;
  if (wanted.fast_path == config::FastPathMode::off) return slow;
  if (wanted.fast_path == config::FastPathMode::required) return Leg::fast;
  // Where the fast path was not to be had, it is hardly to be had now, and finding out must not cost the flows.
  const auto* record = record_taken_over(world, wanted.name, clat);
  if (record != nullptr && record->leg == slow) return slow;
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
  bool shaped;  // downloads are, by what follows the uplink's shaping
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
          .ranges = from.wanted.ranges,
          .allow_private_ipv4 = from.wanted.allow_private_ipv4,
          .packet_socket = from.config.clatd.dialect != config::Dialect::native,
          .shortcut_out = !from.config.offload.empty(),
          .shortcut_in = !from.config.offload.empty() && !from.shaped};
}

FastPathSpec fast_path_spec(const Makings& from) {
  auto spec = attachment(from);
  spec.optimistic = spec.layer == LinkLayer::ethernet && from.clat.presence.phase != Presence::Phase::ours;
  return spec;
}

// IPv6 of clatd goes to the stack where the announcement leads it there, and until there is one, where it will. With
// the legs it changes only after them. A kind of link that has no fast path is left to the stack, too.
bool routes_ipv6_of_clatd(const Makings& from) {
  const auto& announced = from.clat.piece(Part::announce).have;
  const Leg leg = announced ? std::get<AnnounceSpec>(*announced).leg : from.leg;
  return leg != Leg::fast || from.uplink.layer == LinkLayer::other;
}

FilterSpec filter_spec(const World& world, const Makings& from, TimePoint now) {
  if (from.clat.bpf_filter.at.value_or(now) <= now) {
    return {.means = FilterMeans::bpf, .filter = {routes_ipv6_of_clatd(from), attachment(from)}};
  }
  // No more than the rules say, so that nothing else changes them.
  return {.means = FilterMeans::nftables,
          .filter = {.by = {.uplink = from.wanted.name,
                            .tun_ifindex = from.clat.tun,
                            .v4 = from.clat.addresses->v4,
                            .v6 = from.clat.addresses->v6,
                            .prefix = from.uplink.prefix,
                            .ranges = from.wanted.ranges,
                            .allow_private_ipv4 = from.wanted.allow_private_ipv4}},
          .connected = world.subnets};
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
    child.ranges = from.wanted.ranges;
  } else {
    child.mark = from.wanted.mark;
    child.net_id = from.wanted.net_id;
  }
  return child;
}

LanSpec lan_spec(const config::Config& config, const config::Interface& wanted, const Clat& clat) {
  LanSpec spec{wanted.name, clat.tun, wanted.tun, config.lan};
  if (config.lan.masquerade)
    std::ranges::transform(wanted.ranges, std::back_inserter(spec.unmasqueraded), &RangeMapping::v4);
  return spec;
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
  auto shaping = wanted_shaping(world, name, clat);
  const Makings makings{*world.config,      wanted, uplink, clat, {mtu, wanted.lowest_ipv6_mtu.value_or(mtu)}, leg,
                        shaping.has_value()};
  const auto shape = tun_shape(world, wanted);
  const auto want = [&all](Spec spec) { all[spec.index()] = std::move(spec); };

  want(RecordSpec{name, uplink.ifindex, wanted.tun, shape, leg, wanted.route_metric, v4, v6, uplink.prefix,
                  wanted.ranges});
  want(TunSpec{wanted.tun, shape, clat.adopt});
  if (clat.tun == 0) return all;
  want(SetupSpec{clat.tun, wanted.tun, name, v4, tun_mtu(mtu)});
  if (leg == Leg::fast || stands_on_guard(clat, v6)) want(GuardSpec{v6});
  want(filter_spec(world, makings, now));
  if (wanted.fast_path != config::FastPathMode::off) want(fast_path_spec(makings));
  if (shaping || clat.adopt) {
    want(shaping ? *std::move(shaping) : ShapingSpec{.tun = clat.tun});
  }
  want(child_spec(makings));
  if (world.config->lan.wants_anything()) want(lan_spec(*world.config, wanted, clat));
  if (!uplink.carrier || !clat.reachable) return all;
  want(AnnounceSpec{name, uplink.ifindex, clat.tun, v6, leg, wanted.ranges});
  if (wanted.route_metric && !clat.why_unused()) want(RouteSpec{clat.tun, v4, *wanted.route_metric});
  return all;
}

// Wherever a prefix is to be discovered, whether or not there is one, and where there is a CLAT with neighbours.
std::optional<Spec> listen_spec(const World& world, const std::string& name, const Clat& clat, const Desired& parts) {
  const auto* interface = world.interface(name);
  const auto* link = world.link(name);
  if (interface == nullptr || interface->refusal || link == nullptr || !link->up) return std::nullopt;
  const bool routers = !interface->wanted.nat64_prefix;
  const auto& record = parts[index(Part::record)];
  const bool neighbours = record && link->layer == LinkLayer::ethernet;
  if (!routers && !neighbours) return std::nullopt;
  ListenSpec spec{name, link->ifindex, link->layer, routers};
  if (!neighbours) return spec;
  spec.v6 = std::get<RecordSpec>(*record).v6;
  const auto& dead = clat.dead_routers;
  spec.next_hops = dead.all;
  if (clat.reachable && clat.route && clat.route->next_hop && !dead.contains(clat.route->next_hop))
    spec.next_hops.push_back(*clat.route->next_hop);
  spec.recovering = !dead.all.empty();
  return spec;
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
    const auto unused = part == Part::route ? clat.why_unused() : std::nullopt;
    return unused.value_or(Reason{Why::not_wanted});
  }
  if (part == Part::child && (piece.damaged || clat.child.process.condemned)) return clat.why_no_clatd();
  if (part == Part::child && clat.is_unconfined()) {
    return Reason{.why = Why::unconfined, .error = clat.piece(Part::filter).retry.error};
  }
  if (part == Part::fast_path && !is_by_bpf(outlook.wanted[index(Part::filter)])) {
    return Reason{.why = Why::failure, .error = clat.bpf_filter.error};
  }
  if (*piece.have != *wanted && !changes_in_place(*piece.have, *wanted)) return Reason{Why::settings_changed};
  // Another record takes along whatever this one names.
  if (part == Part::record && clat.takes_over && *piece.have != *wanted) return Reason{Why::settings_changed};
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
  outlook.wanted[index(Part::listen)] = listen_spec(world, name, clat, outlook.wanted);
  for (const Part part : kInOrder) outlook.must_go[index(part)] = why_it_goes(part, clat, outlook);
  outlook.uplink = std::move(uplink);
  return outlook;
}

}  // namespace clat::plan
