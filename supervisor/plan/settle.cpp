#include "supervisor/plan/settle.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <ranges>
#include <set>

#include "core/net/clat_address.hpp"
#include "supervisor/plan/desired.hpp"

namespace clat::plan {

namespace {

bool holds(const std::vector<Ipv4Address>& addresses, std::uint32_t v4) {
  return std::ranges::find(addresses, v4, &Ipv4Address::number) != addresses.end();
}

// An address on the tun of this very CLAT is its own.
bool is_on_tun_of(const World& world, const std::string& uplink, int ifindex) {
  const auto clat = world.clats.find(uplink);
  if (clat != world.clats.end() && clat->second.tun == ifindex) return true;
  const auto* link = world.kernel.links.find(ifindex);
  return link != nullptr && link->name == config::tun_name(uplink);
}

// Another CLAT of ours has it, or may have it again.
bool another_clat_has(const World& world, const std::string& uplink, std::uint32_t v4) {
  return std::ranges::any_of(world.clats, [&](const auto& each) {
    const auto& [other, clat] = each;
    return clat.addresses && clat.addresses->v4.number() == v4 && other != uplink &&
           (clat.has_tun() || world.wanted(other) != nullptr);
  });
}

// Free of every other CLAT of ours, of what the config fixes for another, and of the host. It is asked for each CLAT
// about all others: addresses are compared first, and as numbers. What a CLAT with a tun has, no other was given.
bool ipv4_is_free(const World& world, const std::string& uplink, const Ipv4Address& address) {
  if (address == kDummyIpv4) return false;
  const auto v4 = address.number();
  const auto own = world.clats.find(uplink);
  const bool holds_it = own != world.clats.end() && own->second.has_tun() && own->second.addresses &&
                        own->second.addresses->v4.number() == v4;
  if (!holds_it && another_clat_has(world, uplink, v4)) return false;
  for (const auto& [other, leftover] : world.leftovers) {
    if (leftover.record.v4.number() == v4 && other != uplink) return false;
  }
  for (const auto& other : world.config->interfaces) {
    if (other.ipv4_address && other.ipv4_address->number() == v4 && other.name != uplink) return false;
  }
  return std::ranges::none_of(world.kernel.ipv4, [&](const auto& each) {
    return holds(each.second, v4) && !world.buried_tuns.contains(each.first) &&
           !is_on_tun_of(world, uplink, each.first);
  });
}

// The host answers for its own addresses: a CLAT that had one would take the host's IPv6 away.
bool ipv6_is_free(const World& world, const Ipv6Address& v6) {
  return std::ranges::none_of(world.kernel.ipv6, [&](const auto& each) {
    return std::ranges::find(each.second, v6, &Ipv6OnLink::address) != each.second.end();
  });
}

// Whether addresses that were chosen before still fit config, uplink and host.
bool still_fit(const World& world, const std::string& name, const Uplink& uplink, const Addresses& addresses) {
  const auto& wanted = *uplink.wanted;
  const bool v4_fits =
      wanted.ipv4_address ? *wanted.ipv4_address == addresses.v4 : world.config->ipv4_pool.contains(addresses.v4);
  if (!v4_fits || !ipv4_is_free(world, name, addresses.v4) || !ipv6_is_free(world, addresses.v6)) return false;
  if (wanted.ipv6_address) return *wanted.ipv6_address == addresses.v6;
  return checksum_delta(addresses.v6, addresses.v4, wanted.nat64_prefix) == 0 &&
         std::ranges::any_of(uplink.subnets,
                             [&](const auto& subnet) { return subnet.same_first_bits(addresses.v6, 64); });
}

std::expected<Addresses, Reason> choose(World& world, const std::string& name, const Uplink& uplink) {
  const auto& wanted = *uplink.wanted;
  const auto free = [&](const Ipv4Address& v4) { return ipv4_is_free(world, name, v4); };
  const auto v4 = wanted.ipv4_address ? wanted.ipv4_address : world.config->ipv4_pool.first_free(free);
  if (!v4) return std::unexpected(Reason{Why::no_free_ipv4, world.config->ipv4_pool.text()});
  const auto in_use = [](const auto& address) {
    return std::unexpected(Reason{Why::address_in_use, address.text(), Error{"", EADDRINUSE}});
  };
  if (wanted.ipv4_address && !free(*v4)) return in_use(*v4);
  if (wanted.ipv6_address) {
    if (!ipv6_is_free(world, *wanted.ipv6_address)) return in_use(*wanted.ipv6_address);
    return Addresses{*v4, *wanted.ipv6_address};
  }
  Ipv6Address v6;
  do {
    v6 = make_clat_ipv6(uplink.subnets.front(), *v4, wanted.nat64_prefix, world.random.next());
  } while (!ipv6_is_free(world, v6));
  return Addresses{*v4, v6};
}

// The tun's name is taken by a device that is not ours.
bool name_is_taken(const World& world, const std::string& uplink, const Clat& clat) {
  const auto* link = world.link(config::tun_name(uplink));
  return link != nullptr && !clat.adopt && link->ifindex != clat.tun;
}

void move_to(const std::string& name, Clat& clat, const Addresses& addresses, TimePoint now,
             std::vector<Notice>& notices) {
  auto& guard = clat.piece(Part::guard);
  if (guard.have && std::get<GuardSpec>(*guard.have).v6 != addresses.v6) {
    const auto& old = std::get<GuardSpec>(*guard.have);
    notices.push_back({name, notice::AddressRetired{old.v6}});
    clat.retired.push_back({old, now + kGuardGrace});
    guard.forget();
  }
  std::erase_if(clat.retired, [&](const RetiredGuard& retired) {
    if (retired.guard.v6 != addresses.v6 || guard.have) return false;
    guard.have = retired.guard;
    return true;
  });
  clat.addresses = addresses;
  clat.was_ready = false;
  clat.no_clatd_since = now;
}

// Whether all that the record names is what would be made now: then it can be taken over as it stands.
bool fits(const World& world, const std::string& name, const Clat& clat, const RecordSpec& record) {
  const auto uplink = usable_uplink(world, name);
  if (!uplink || !uplink->link->carrier || !clat.reachable) return false;
  const auto& wanted = *uplink->wanted;
  return record.uplink_ifindex == uplink->link->ifindex && record.prefix == wanted.nat64_prefix &&
         record.shape == tun_shape(world, wanted) && record.metric == wanted.route_metric &&
         record.leg == leg_of(world, wanted, clat) && still_fit(world, name, *uplink, {record.v4, record.v6});
}

bool asks_route(const World& world, const std::string& name, const Clat& clat) {
  return (clat.ask_route || clat.asking_route) && usable_uplink(world, name);
}

// What does not fit is purged before anything new is made.
void judge_leftovers(World& world) {
  for (auto& [name, leftover] : world.leftovers) {
    const auto clat = world.clats.find(name);
    if (world.wanted(name) == nullptr || clat == world.clats.end()) {
      leftover.unfit = true;
    } else if (!clat->second.adopt) {
      const bool asking = asks_route(world, name, clat->second);
      leftover.unfit = leftover.unfit || (!asking && !fits(world, name, clat->second, leftover.record));
    }
  }
}

std::optional<Reason> find_addresses(World& world, const std::string& name, Clat& clat, TimePoint now,
                                     std::vector<Notice>& notices) {
  const auto uplink = usable_uplink(world, name);
  if (!uplink) return uplink.error();
  if (!clat.route) return no_route(*uplink->wanted, clat);
  const auto leftover = world.leftovers.find(name);
  if (leftover != world.leftovers.end() && !clat.adopt) {
    if (leftover->second.unfit) return Reason{Why::clearing_leftover};
    const auto& record = leftover->second.record;
    move_to(name, clat, Addresses{record.v4, record.v6}, now, notices);
    clat.adopt = true;
  }
  if (name_is_taken(world, name, clat)) {
    return Reason{Why::tun_name_taken, config::tun_name(name), Error{"", EBUSY}};
  }
  if (clat.addresses && still_fit(world, name, *uplink, *clat.addresses)) return std::nullopt;
  const auto chosen = choose(world, name, *uplink);
  if (!chosen) return chosen.error();
  move_to(name, clat, *chosen, now, notices);
  notices.push_back({name, notice::AddressChosen{chosen->v4, chosen->v6, uplink->wanted->nat64_prefix}});
  return std::nullopt;
}

bool carries_ipv4(const Desired& wanted, const Clat& clat) {
  const auto stands = [&](Part part) { return clat.piece(part).stands(); };
  const bool route = stands(Part::route) || !wanted[static_cast<std::size_t>(Part::route)];
  // A fast path that is merely being attached again is not worth a word; one that cannot be is.
  const auto& announce = clat.piece(Part::announce).have;
  const bool fast = announce && std::get<AnnounceSpec>(*announce).leg == Leg::fast;
  const bool broken = fast && !stands(Part::fast_path) && clat.piece(Part::fast_path).failure;
  return stands(Part::setup) && stands(Part::announce) && clat.was_ready && !clat.misses_clatd && route && !broken;
}

Reason why_down(const World& world, const std::string& name, const Clat& clat) {
  if (world.stopping) return {Why::stopping};
  if (world.wanted(name) == nullptr) return {Why::removed_from_config};
  if (clat.obstacle) return *clat.obstacle;
  const auto* link = world.link(name);
  if (link != nullptr && !link->carrier) return {Why::no_carrier};
  if (!clat.reachable) return no_route(*world.wanted(name), clat);
  if (clat.misses_clatd) return clat.why_no_clatd();
  if (const auto* failure = clat.failure(); failure != nullptr) return Reason::of(failure->error);
  const auto lost = std::ranges::find(clat.pieces, true, &Piece::damaged);
  if (lost != clat.pieces.end()) return {Why::part_lost, std::string(model::name(part_of(*lost->have)))};
  return {Why::settings_changed};
}

void tell_up_or_down(const World& world, const std::string& name, const Desired& wanted, Clat& clat, TimePoint now,
                     std::vector<Notice>& notices) {
  const bool up = carries_ipv4(wanted, clat);
  if (up == clat.up) return;
  clat.up = up;
  clat.up_since = up ? std::optional(now) : std::nullopt;
  if (!up) {
    notices.push_back({name, notice::ClatDown{why_down(world, name, clat)}});
    return;
  }
  const auto& setup = std::get<SetupSpec>(*clat.piece(Part::setup).have);
  const auto& announce = std::get<AnnounceSpec>(*clat.piece(Part::announce).have);
  notices.push_back({name, notice::ClatUp{.tun = setup.tun_name,
                                          .v4 = clat.addresses->v4,
                                          .v6 = clat.addresses->v6,
                                          .prefix = std::get<RecordSpec>(*clat.piece(Part::record).have).prefix,
                                          .mtu = setup.mtu,
                                          .leg = announce.leg,
                                          .fast_path = clat.fast_path_kind}});
}

// A clatd of which nothing is heard is replaced.
void give_up_child(const std::string& name, Process& process, TimePoint now, std::vector<Notice>& notices) {
  const auto at = process.given_up_at();
  if (!at || *at > now) return;
  if (!process.last_look) {
    process.last_look = now + kLastLook;
    return;
  }
  if (!process.mute.empty())
    process.condemned = Condemned{Condemned::By::mute, process.mute};
  else if (!process.ready)
    process.condemned = Condemned{Condemned::By::never_ready, {}, kReadyTimeout};
  else
    process.condemned =
        Condemned{process.has_control ? Condemned::By::no_answer : Condemned::By::full_queue, {}, kAnswerTimeout};
  notices.push_back({name, notice::ClatReplaced{process.pid, *process.condemned}});
}

// Without a fast path nothing gets through while no clatd reads packets. A restart in time is not worth a word.
void miss_clatd(const World& world, const std::string& name, Clat& clat, TimePoint now) {
  const auto counts_from = clat.child.process.counts_from(clat.misses_clatd);
  if (counts_from && *counts_from <= now)
    clat.no_clatd_since.reset();
  else if (!clat.no_clatd_since)
    clat.no_clatd_since = now;
  const auto* wanted = world.wanted(name);
  clat.misses_clatd = wanted != nullptr && clatd_is_data_path(world, *wanted, clat) && clat.no_clatd_since &&
                      *clat.no_clatd_since + kClatdGrace <= now;
}

// A failure ends with its cause, be it that the part is not wanted any more.
void forget_failures(const Desired& wanted, Clat& clat) {
  for (std::size_t i = 0; i < kParts; ++i) {
    auto& piece = clat.pieces[i];
    if (piece.failure && piece.is(wanted[i])) piece.failure.reset();
  }
}

// The blackhole of an address without use is released after a while; with use again, it stays.
void time_guard(const Desired& wanted, Clat& clat, TimePoint now) {
  const bool idle = clat.piece(Part::guard).have && !wanted[static_cast<std::size_t>(Part::guard)];
  if (!idle)
    clat.guard_release_at.reset();
  else if (!clat.guard_release_at)
    clat.guard_release_at = now + kGuardGrace;
}

// Whether an IPv4 address became free.
bool settle_one(World& world, const std::string& name, Clat& clat, TimePoint now, std::vector<Notice>& notices) {
  const auto before = clat.addresses;
  if (world.wanted(name) == nullptr) {
    clat.obstacle.reset();
  } else {
    auto obstacle = find_addresses(world, name, clat, now, notices);
    // What only waits for the kernel's answer about the route is not worth a line.
    const bool asking = !clat.route && asks_route(world, name, clat);
    if (!asking) {
      if (obstacle && obstacle != clat.obstacle) notices.push_back({name, notice::Hindered{*obstacle}});
      clat.obstacle = std::move(obstacle);
    }
  }
  give_up_child(name, clat.child.process, now, notices);
  miss_clatd(world, name, clat, now);
  const auto wanted = desired(world, name, clat);
  forget_failures(wanted, clat);
  time_guard(wanted, clat, now);
  tell_up_or_down(world, name, wanted, clat, now, notices);
  return before && before != clat.addresses;
}

// The same: whether others may have what it had.
bool settle_and_forget(World& world, const std::string& name, TimePoint now, std::vector<Notice>& notices) {
  const auto clat = world.clats.find(name);
  if (clat == world.clats.end()) return false;
  const bool freed = settle_one(world, name, clat->second, now, notices);
  if (world.wanted(name) != nullptr) return freed;
  const bool has_tun = clat->second.has_tun();
  if (clat->second.empty()) world.clats.erase(clat);
  return !has_tun && !world.stopping;
}

}  // namespace

void settle(World& world, Scope& scope, TimePoint now, std::vector<Notice>& notices) {
  if (!world.config || !world.kernel_known) return;
  if (scope.all && !world.stopping) {
    for (const auto& wanted : world.config->interfaces) world.clats.try_emplace(wanted.name);
  }
  judge_leftovers(world);
  std::set<std::string> names = scope.uplinks;
  if (scope.all) std::ranges::copy(std::views::keys(world.clats), std::inserter(names, names.end()));
  bool freed = false;
  for (const auto& name : names) freed |= settle_and_forget(world, name, now, notices);
  if (!freed) return;
  scope.all = true;
  for (auto& [name, clat] : world.clats) settle_one(world, name, clat, now, notices);
}

}  // namespace clat::plan
