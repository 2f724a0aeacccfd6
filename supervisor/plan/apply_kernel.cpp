#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "supervisor/plan/applier.hpp"

namespace clat::plan {

namespace {

bool runs(const Link* link) { return link != nullptr && link->up && link->carrier; }

// Compares one configured uplink before and after; a re-created link counts as gone and up.
void tell_link(const std::string& name, const Link* before, const Link* after, std::vector<Notice>& notices) {
  if (before != nullptr && (after == nullptr || after->ifindex != before->ifindex)) {
    notices.push_back({name, notice::LinkGone{before->ifindex}});
    before = nullptr;
  }
  if (after == nullptr || runs(before) == runs(after)) return;
  if (runs(after)) {
    notices.push_back({name, notice::LinkUp{after->ifindex, after->mtu}});
  } else {
    notices.push_back({name, notice::LinkDown{.set_down = !after->up}});
  }
}

Clat* owner_of_tun(World& world, int ifindex) {
  const auto found = std::ranges::find_if(world.clats, [&](const auto& each) { return each.second.tun == ifindex; });
  return ifindex == 0 || found == world.clats.end() ? nullptr : &found->second;
}

// Which uplink device the part stands on; 0: on none. A clatd of ours does not see it.
int uplink_under(const Spec& spec) {
  if (const auto* fast_path = std::get_if<FastPathSpec>(&spec)) return fast_path->uplink_ifindex;
  if (const auto* announce = std::get_if<AnnounceSpec>(&spec)) return announce->uplink_ifindex;
  const auto* child = std::get_if<ChildSpec>(&spec);
  return child != nullptr && child->dialect != config::Dialect::native ? child->uplink_ifindex : 0;
}

// What stood on a link went with it. The next one may have the same ifindex and the same addresses.
void lose_uplink(World& world, int ifindex) {
  for (auto& [name, clat] : world.clats) {
    for (auto& piece : clat.pieces) {
      if (!piece.have || uplink_under(*piece.have) != ifindex) continue;
      piece.damage();
      if (part_of(*piece.have) == Part::fast_path) clat.fast_path_kind.clear();
    }
  }
}

void ask_all_routes(World& world) {
  for (auto& [name, clat] : world.clats) clat.ask_route = true;
}

// The kernel tells of routes and rules that change, but not of all that leads to another answer, sysctls for one: so
// all are asked for in turn, and those that are missing each time.
void ask_some_routes(World& world) {
  auto turn = world.clats.upper_bound(world.last_route_asked);
  for (std::size_t i = 0; i < std::min(kRoutesPerAudit, world.clats.size()); ++i, ++turn) {
    if (turn == world.clats.end()) turn = world.clats.begin();
    turn->second.ask_route = true;
    world.last_route_asked = turn->first;
  }
  for (auto& [name, clat] : world.clats) clat.ask_route |= !clat.reachable;
}

}  // namespace

void Applier::operator()(const LinkSeen& event) {
  if (world_.buried_tuns.contains(event.link.ifindex)) return;
  auto& links = world_.kernel.links;
  const auto* known = links.find(event.link.ifindex);
  const auto before = known == nullptr ? std::nullopt : std::optional(*known);
  if (auto* clat = owner_of_tun(world_, event.link.ifindex); clat != nullptr && before) {
    // Under another name it is not what is wanted: it goes, and one of the right name is made.
    auto& tun = clat->piece(Part::tun).have;
    if (tun) std::get<TunSpec>(*tun).name = event.link.name;
    // Setting a link down flushes its routes: build both again.
    if (before->up && !event.link.up) {
      clat->piece(Part::setup).damage();
      clat->piece(Part::route).damage();
    }
  }
  Link link = event.link;
  if (!event.tells_altnames && before) link.altnames = before->altnames;
  const bool is_new = !before || before->name != link.name;
  const bool has_other_names = is_new || before->altnames != link.altnames;
  const bool was_configured = before && configured(before->name);
  links.put(link);
  if (has_other_names && owner_of_tun(world_, link.ifindex) == nullptr) world_.find_interfaces();
  const bool stays = !is_new && was_configured && configured(link.name);
  if (was_configured && !stays) tell_link(before->name, &*before, nullptr, notices_);
  if (configured(link.name)) tell_link(link.name, stays ? &*before : nullptr, &link, notices_);
  ask_route_of(link.ifindex);
}

void Applier::operator()(const LinkGone& event) {
  if (world_.buried_tuns.erase(event.ifindex) > 0) return;
  if (auto* clat = owner_of_tun(world_, event.ifindex)) clat->lose_tun();
  lose_uplink(world_, event.ifindex);
  if (const auto* link = world_.kernel.links.find(event.ifindex)) {
    if (configured(link->name)) tell_link(link->name, link, nullptr, notices_);
    // The next one of that name may lead into another network.
    if (const auto clat = world_.clats.find(link->name); clat != world_.clats.end()) clat->second.forget_routers();
    world_.kernel.links.erase(event.ifindex);
    world_.find_interfaces();
  }
  world_.kernel.ipv6.erase(event.ifindex);
  world_.kernel.ipv4.erase(event.ifindex);
  world_.kernel.ingress.erase(event.ifindex);
}

void Applier::operator()(const Ipv6Seen& event) {
  world_.kernel.ipv6.put(event.ifindex, event.address);
  ask_route_of(event.ifindex);
}

void Applier::operator()(const Ipv6Gone& event) {
  world_.kernel.ipv6.erase(event.ifindex, event.address);
  ask_route_of(event.ifindex);
}

void Applier::operator()(const Ipv6RoutesChanged&) { ask_all_routes(world_); }

void Applier::operator()(const Ipv4DefaultRouteChanged& event) {
  for (auto& [name, clat] : world_.clats) {
    const auto* wanted = world_.wanted(name);
    if (wanted != nullptr && wanted->when == config::When::no_native_ipv4) clat.ask_route = true;
    if (wanted == nullptr || wanted->route_metric != event.metric) continue;
    auto& route = clat.piece(Part::route);
    route.verify = true;
    // What was in the way may be gone.
    route.retry.hurry(now_);
  }
}

void Applier::operator()(const Ipv4Seen& event) {
  if (!world_.buried_tuns.contains(event.ifindex)) world_.kernel.ipv4.put(event.ifindex, event.address);
}

void Applier::operator()(const Ipv4Gone& event) {
  world_.kernel.ipv4.erase(event.ifindex, event.address);
  auto* clat = owner_of_tun(world_, event.ifindex);
  if (clat == nullptr) return;
  const auto& setup = clat->piece(Part::setup).have;
  if (setup && std::get<SetupSpec>(*setup).v4 == event.address) {
    clat->piece(Part::setup).damage();
    clat->piece(Part::route).damage();
  }
}

void Applier::operator()(const KernelDumped& event) {
  if (event.overrun) tell(notice::NetlinkResynced{});
  take_dump(event.kernel);
  ask_all_routes(world_);
  world_.audit_due = now_;
}

void Applier::operator()(const TrafficControlChanged& event) {
  if (event.ingress) world_.kernel.put(event.ifindex, *event.ingress);
  // Somebody else's filter that left no place for ours (EBUSY) may be gone. Any other failure is no matter of filters.
  const auto hurry = [this](Retry& retry) {
    if (retry.error && retry.error->code == EBUSY) retry.hurry(now_);
  };
  for (auto& [name, clat] : world_.clats) {
    const auto& filter = clat.piece(Part::filter).have;
    if (filter && std::get<FilterSpec>(*filter).filter.by.tun_ifindex == event.ifindex)
      clat.piece(Part::filter).verify = true;
    const auto& uplink = clat.outlook.uplink;
    if (clat.tun == event.ifindex) {
      hurry(clat.bpf_filter);
      clat.piece(Part::shaping).verify = clat.piece(Part::shaping).have.has_value();
    }
    if (uplink && uplink->ifindex == event.ifindex) {
      hurry(clat.fast_path);
      hurry(clat.piece(Part::fast_path).retry);
    }
    const auto& fast = clat.piece(Part::fast_path).have;
    if (!fast) continue;
    const auto& spec = std::get<FastPathSpec>(*fast);
    if (spec.uplink_ifindex == event.ifindex || spec.tun_ifindex == event.ifindex)
      clat.piece(Part::fast_path).verify = true;
  }
}

void Applier::operator()(const NftablesChanged&) {
  for (auto& [name, clat] : world_.clats) {
    auto& filter = clat.piece(Part::filter);
    if (filter.have && std::get<FilterSpec>(*filter.have).means == FilterMeans::nftables) filter.verify = true;
    if (auto& lan = clat.piece(Part::lan); lan.have) lan.verify = true;
  }
}

Clat* Applier::discovering(const std::string& uplink) {
  const auto found = world_.clats.find(uplink);
  const auto* wanted = world_.wanted(uplink);
  return found == world_.clats.end() || wanted == nullptr || wanted->nat64_prefix ? nullptr : &found->second;
}

void Applier::operator()(const RouterHeard& event) {
  auto* clat = discovering(event.uplink);
  if (clat == nullptr) return;
  clat->solicitation.succeed();
  if (event.mtu) clat->advertised_mtu = event.mtu;
  // One that was not known may know more than those that were asked in vain. Not at once: each advertisement may name
  // another.
  constexpr std::chrono::seconds kSoon{1};
  const bool more_to_ask = clat->name_servers.hear(event.name_servers, now_);
  if (more_to_ask && clat->ask_dns_at && clat->dns_silence.failures > 0) {
    clat->ask_dns_at = std::min(*clat->ask_dns_at, now_ + kSoon);
  }
  const auto too_many = clat->prefixes.hear(event.router, event.prefixes, now_);
  if (too_many && !std::exchange(clat->told_too_many, true)) {
    tell(event.uplink, notice::PrefixesIgnored{*too_many, event.router});
  }
}

// A failure says nothing of the prefix, and "there is none" may be said by a resolver without DNS64: both are asked
// again, later each time.
void Applier::operator()(const Nat64Answer& event) {
  constexpr std::chrono::seconds kBefore{10};  // the answer's end (RFC 7050 §3)
  constexpr config::Restart kAgain{
      .initial = std::chrono::seconds(2), .max = std::chrono::minutes(30), .factor = 3, .jitter = 0.2};
  auto* clat = discovering(event.uplink);
  if (clat == nullptr || clat->ask_dns_at || !clat->hears_routers()) return;  // to an older question
  if (!event.failure) clat->prefixes.look_up(event.prefixes, event.ttl);
  if (event.failure || event.prefixes.empty()) {
    const bool told = clat->dns_silence.failures > 0;
    const auto retry_in = clat->dns_silence.fail(kAgain, world_.random);
    clat->ask_dns_at = now_ + retry_in;
    if (!told) tell(event.uplink, notice::PrefixUnknown{event.failure, retry_in});
  } else {
    clat->dns_silence = {};
    clat->ask_dns_at = now_ + std::max<milliseconds>(event.ttl - kBefore, kBefore);
  }
}

void Applier::operator()(const LookedUp& event) {
  const auto found = world_.clats.find(event.uplink);
  if (found == world_.clats.end()) return;
  auto& clat = found->second;
  clat.asking_route = false;
  clat.native_ipv4 = event.native_ipv4;
  const int code = event.route ? 0 : event.route.error().code;
  const bool none = code == ENETUNREACH || code == EHOSTUNREACH;
  const bool forbidden = code == EACCES || code == EINVAL;  // prohibit, blackhole
  // Anything else says nothing about the route.
  if (!event.route && !none && !forbidden) {
    clat.ask_route = true;
    clat.route_question.fail(retry_delay(clat.route_question), now_, event.route.error());
    return;
  }
  clat.route_question.succeed();
  clat.reachable = event.route.has_value();
  clat.route_refusal = forbidden ? code : 0;
  if (event.route) clat.route = *event.route;
  auto& dead = clat.dead_routers;
  if (const auto router = std::exchange(dead.untold, std::nullopt)) {
    const bool other = event.route && !dead.contains(event.route->next_hop);
    tell(event.uplink, notice::NextHopFailed{*router, other ? event.route->next_hop : std::nullopt});
  }
}

void Applier::operator()(const Audited& event) {
  if (event.kernel) take_dump(*event.kernel);
  for (const auto& [uplink, queue] : event.queues) look_at_queue(uplink, queue);
  for (const auto& [check, error] : event.missing) {
    const auto clat = world_.clats.find(check.uplink);
    if (clat == world_.clats.end()) continue;
    const Part part = part_of(check.spec);
    // It may have changed, or gone, since it was asked for.
    if (!clat->second.has_under_way(part) && clat->second.piece(part).is(check.spec))
      lost(check.uplink, clat->second, part, error);
  }
  for (const auto& [uplink, firewall] : event.firewalls) {
    const auto clat = world_.clats.find(uplink);
    if (clat != world_.clats.end() && clat->second.piece(Part::announce).have) {
      take_firewall(uplink, clat->second, firewall);
    }
  }
  if (event.shortcut) shortcut_failed(*event.shortcut);
  if (event.unasked) tell_unasked(*event.unasked);
  ask_some_routes(world_);
}

// Each cause is told once.
void Applier::take_firewall(const std::string& uplink, Clat& clat, const Firewall& firewall) {
  const auto tell_new = [&](const std::string& before, const std::string& now, bool of_lan) {
    if (!now.empty() && now != before) tell(uplink, notice::ClatBlocked{now, of_lan});
  };
  tell_new(clat.firewall.drops_clat, firewall.drops_clat, false);
  tell_new(clat.firewall.drops_lan, firewall.drops_lan, true);
  clat.firewall = firewall;
}

void Applier::ask_route_of(int ifindex) {
  const auto* link = world_.kernel.links.find(ifindex);
  if (link == nullptr) return;
  for (auto& [name, clat] : world_.clats) {
    const auto* wanted = world_.wanted(name);
    const auto* lender =
        wanted != nullptr && wanted->ipv6_source ? std::get_if<std::string>(&*wanted->ipv6_source) : nullptr;
    const bool lends_addresses = lender != nullptr && world_.link(*lender) == link;
    clat.ask_route |= name == link->name || lends_addresses;
  }
}

// What became of each interface since `before`, when the names may have been others.
void Applier::tell_links(const Links& before) {
  const auto old = world_.interfaces();
  world_.find_interfaces();
  if (world_.stopping) return;
  const auto link_of = [](const Interfaces& interfaces, const Links& links, const std::string& name) -> const Link* {
    const auto found = interfaces.find(name);
    return found == interfaces.end() || found->second.refusal ? nullptr : links.find(name);
  };
  auto names = world_.interfaces();
  names.insert(old.begin(), old.end());
  for (const auto& [name, interface] : names) {
    tell_link(name, link_of(old, before, name), link_of(world_.interfaces(), world_.kernel.links, name), notices_);
  }
}

void Applier::take_dump(const Kernel& kernel) {
  const Kernel before = std::exchange(world_.kernel, kernel);
  world_.kernel_known = true;
  world_.buried_tuns.clear();
  // Each audit brings a dump, most of them with nothing new.
  if (before.links != world_.kernel.links) tell_links(before.links);
  for (auto& [name, clat] : world_.clats) {
    if (clat.tun != 0 && world_.kernel.links.find(clat.tun) == nullptr) clat.lose_tun();
  }
}

}  // namespace clat::plan
