#include "supervisor/plan/addresses.hpp"

#include <algorithm>
#include <cerrno>

#include "core/net/clat_address.hpp"
#include "supervisor/plan/judge.hpp"
#include "supervisor/plan/neighbours.hpp"

namespace clat::plan {

namespace {

// An address on the tun of this very CLAT is its own.
bool is_on_tun_of(const World& world, const std::string& uplink, int ifindex) {
  const auto clat = world.clats.find(uplink);
  if (clat != world.clats.end() && clat->second.tun == ifindex) return true;
  const auto* link = world.kernel.links.find(ifindex);
  const auto* wanted = world.wanted(uplink);
  return link != nullptr && wanted != nullptr && link->name == wanted->tun;
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
  if (const auto fixed = world.fixed_ipv4.find(v4); fixed != world.fixed_ipv4.end()) {
    const auto* own_entry = world.interface(uplink);
    if (own_entry == nullptr || own_entry->entry != fixed->second) return false;
  }
  return !world.kernel.ipv4.any_link(address, [&](int ifindex) {
    return !world.buried_tuns.contains(ifindex) && !is_on_tun_of(world, uplink, ifindex);
  });
}

// The host answers for its own addresses: a CLAT that had one would take the host's IPv6 away.
// What is mapped one to one is that of hosts of the LAN.
bool ipv6_is_free(const World& world, const Ipv6Address& v6) {
  return !world.kernel.ipv6.contains(v6) &&
         std::ranges::none_of(world.mapped, [&](const auto& range) { return range.covered().contains(v6); });
}

// A neighbour has it.
bool is_contested(const World& world, const std::string& uplink, const Ipv6Address& v6) {
  const auto clat = world.clats.find(uplink);
  return clat != world.clats.end() && clat->second.presence.contested && clat->second.addresses &&
         clat->second.addresses->v6 == v6;
}

bool another_clat_has(const World& world, const std::string& uplink, const Ipv6Address& v6) {
  return std::ranges::any_of(world.clats, [&](const auto& each) {
    return each.second.addresses && each.second.addresses->v6 == v6 && each.first != uplink;
  });
}

std::optional<Ipv6Address> free_ipv6(World& world, const std::string& uplink, const ClatSubnet& subnet,
                                     const Ipv4Address& v4, const Nat64Prefix& prefix) {
  constexpr unsigned kTries = 32;  // a subnet may have room for few
  for (unsigned i = 0; i < kTries; ++i) {
    const auto neutrality =
        i == 0 || has_many_neutral_addresses(subnet.prefix) ? Neutrality::wanted : Neutrality::given_up;
    const auto v6 = make_clat_ipv6(subnet.prefix, v4, prefix, world.random.next(), neutrality);
    if (ipv6_is_free(world, v6) && !another_clat_has(world, uplink, v6) && !is_contested(world, uplink, v6)) return v6;
  }
  return std::nullopt;
}

std::expected<Addresses, Reason> choose(World& world, const std::string& name, const Uplink& uplink) {
  const auto& wanted = *world.wanted(name);
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
  for (const auto& subnet : uplink.subnets) {
    if (const auto v6 = free_ipv6(world, name, subnet, *v4, uplink.prefix)) return Addresses{*v4, *v6};
  }
  return std::unexpected(Reason{Why::no_free_ipv6, uplink.subnets.front().prefix.text()});
}

const ClatSubnet* subnet_of(const Uplink& uplink, const Ipv6Address& v6) {
  const auto found = std::ranges::find_if(uplink.subnets, [&](const auto& each) { return each.prefix.contains(v6); });
  return found == uplink.subnets.end() ? nullptr : &*found;
}

bool has_better_subnet(const Uplink& uplink, const Ipv6Address& v6) {
  const auto* subnet = subnet_of(uplink, v6);
  return subnet != nullptr && uplink.subnets.front().rank < subnet->rank;
}

// A subnet of another scope is left after a moment only: advertisements come in any order, and each duplicate address
// detection has a delay of its own.
bool has_to_move(const Uplink& uplink, Clat& clat, TimePoint now) {
  constexpr std::chrono::seconds kHoldDown{1};
  if (!has_better_subnet(uplink, clat.addresses->v6)) {
    clat.better_at.reset();
    return false;
  }
  if (is_left_at_once(uplink, clat.addresses->v6)) return true;
  if (!clat.better_at) clat.better_at = now + kHoldDown;
  return *clat.better_at <= now;
}

// The tun's name is taken by a device that is not ours.
bool name_is_taken(const World& world, const std::string& uplink, const Clat& clat) {
  const auto* link = world.link(world.wanted(uplink)->tun);
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
  clat.presence.begin();
  clat.better_at.reset();
  clat.ask_route = true;  // a route or rule may be for some sources only
  clat.was_ready = false;
  clat.no_clatd_since = now;
}

}  // namespace

bool is_left_at_once(const Uplink& uplink, const Ipv6Address& v6) {
  return has_better_subnet(uplink, v6) && subnet_of(uplink, v6)->rank == ClatSubnet::Rank::deprecated;
}

bool still_fit(const World& world, const std::string& name, const Uplink& uplink, const Addresses& addresses) {
  const auto& wanted = *world.wanted(name);
  const bool v4_fits =
      wanted.ipv4_address ? *wanted.ipv4_address == addresses.v4 : world.config->ipv4_pool.contains(addresses.v4);
  if (!v4_fits || !ipv4_is_free(world, name, addresses.v4) || !ipv6_is_free(world, addresses.v6)) return false;
  if (wanted.ipv6_address) return *wanted.ipv6_address == addresses.v6;
  const auto* subnet = subnet_of(uplink, addresses.v6);
  if (subnet == nullptr) return false;
  return !has_many_neutral_addresses(subnet->prefix) || checksum_delta(addresses.v6, addresses.v4, uplink.prefix) == 0;
}

bool is_held_by_native_ipv4(const World& world, const std::string& name, const Clat& clat, const Uplink& uplink) {
  if (!clat.native_ipv4 || world.wanted(name)->when != config::When::no_native_ipv4) return false;
  return std::ranges::any_of(world.kernel.ipv4.of(uplink.ifindex),
                             [](const auto& each) { return !each.address.is_link_local(); });
}

std::optional<Reason> find_addresses(World& world, const std::string& name, Clat& clat, const Uplink& uplink,
                                     TimePoint now, std::vector<Notice>& notices) {
  if (!clat.route) return no_route(uplink.prefix, clat);
  if (is_held_by_native_ipv4(world, name, clat, uplink)) return Reason{Why::native_ipv4};
  const auto leftover = world.leftovers.find(name);
  if (leftover != world.leftovers.end() && !clat.adopt) {
    if (leftover->second.unfit) return Reason{Why::clearing_leftover};
    const auto& record = leftover->second.record;
    move_to(name, clat, Addresses{record.v4, record.v6}, now, notices);
    clat.presence.phase = Presence::Phase::ours;
    clat.adopt = true;
  }
  if (name_is_taken(world, name, clat)) {
    return Reason{Why::tun_name_taken, world.wanted(name)->tun, Error{"", EBUSY}};
  }
  const bool yields = clat.addresses && has_to_yield(*world.wanted(name), clat.presence, now);
  if (clat.addresses && still_fit(world, name, uplink, *clat.addresses) && !has_to_move(uplink, clat, now) && !yields) {
    return std::nullopt;
  }
  const auto chosen = choose(world, name, uplink);
  if (!chosen) return chosen.error();
  if (yields) yield(world, clat, clat.addresses->v6, now);
  move_to(name, clat, *chosen, now, notices);
  notices.push_back({name, notice::AddressChosen{chosen->v4, chosen->v6, uplink.prefix}});
  return std::nullopt;
}

}  // namespace clat::plan
