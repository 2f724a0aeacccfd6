#include "supervisor/system/network.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <utility>

#include "core/base/first_error.hpp"
#include "core/clatd/android_sockets.hpp"
#include "core/net/mtu.hpp"
#include "supervisor/system/our_routes.hpp"
#include "supervisor/system/tun_sysctls.hpp"

namespace clat::system {

Result<Network> Network::open(StateDir& state, Sysctl sysctl) {
  auto rtnetlink = RtNetlink::open();
  if (!rtnetlink) return std::unexpected(rtnetlink.error());
  auto saved = SavedSysctls::open(state, sysctl);
  if (!saved) return std::unexpected(saved.error());
  auto nft_table = NftTable::open();
  return Network(state, std::move(*rtnetlink), nft_table ? std::optional(std::move(*nft_table)) : std::nullopt,
                 std::move(sysctl), std::move(*saved));
}

// --- tun

Result<int> Network::make(const std::string& uplink, const model::TunSpec& spec) {
  const auto there = rtnetlink_.link(spec.name);
  if (!there) return std::unexpected(there.error());
  const auto held = tuns_.find(uplink);
  if (*there && held != tuns_.end() && held->second.ifindex == (*there)->link.ifindex) return held->second.ifindex;
  if (auto gone = let_go(uplink); !gone) return std::unexpected(std::move(gone).error().in(spec.name));
  if (auto gone = delete_tuns_of(uplink, spec.name, Sparing::that_name); !gone) {
    return std::unexpected(std::move(gone).error().in(spec.name));
  }
  if (*there) {
    if (!is_tun_of(uplink, **there, spec.name)) return failure(spec.name + " exists and is not ours", EEXIST);
    if (!spec.adopt) return failure(spec.name + " was left by an earlier clatvisor, without a record", EEXIST);
  }
  auto tun = open_tun(spec.name, *there ? TunOpening::adopt : TunOpening::create, spec.shape);
  // A record may be newer than its tun: it is written first. A tun of another shape is of no use.
  if (*there && !tun && tun.error().code == EINVAL) {
    if (auto gone = rtnetlink_.delete_link((*there)->link.ifindex); !gone) {
      return std::unexpected(std::move(gone).error().in(spec.name));
    }
    tun = open_tun(spec.name, TunOpening::create, spec.shape);
  }
  if (!tun) return std::unexpected(tun.error());
  if (auto sole = hold_every_queue(*tun, spec); !sole) return std::unexpected(std::move(sole).error());
  // The mark comes before persistence: nothing of ours can outlive us unmarked.
  auto kept = rtnetlink_.change_link(tun->ifindex, {.alias = tun_alias(uplink)});
  if (kept) kept = keep_tun(tun->queues.front(), true);
  if (kept) kept = state_->note_tun(uplink, tun->ifindex);
  if (!kept) return std::unexpected(std::move(kept).error().in(spec.name));
  const int ifindex = tun->ifindex;
  tuns_[uplink] = {.ifindex = ifindex, .queues = std::move(tun->queues)};
  return ifindex;
}

// A queue of somebody else's, an old child's that still ends, would take its share of the packets.
Result<> Network::hold_every_queue(const OpenTun& tun, const model::TunSpec& spec) {
  if (spec.shape.queues == 1) return {};
  const auto link = rtnetlink_.link(tun.ifindex);
  if (!link) return std::unexpected(link.error());
  if (!*link || (*link)->tun_queues == spec.shape.queues) return {};
  return failure(spec.name + " is still held by another process", EBUSY);
}

Result<> Network::remove(const std::string& uplink, const model::TunSpec& spec) {
  auto gone = let_go(uplink);
  if (gone) gone = delete_tuns_of(uplink, spec.name, Sparing::none);
  return in_context(std::move(gone), spec.name);
}

// A note of a tun that is not there tells the next supervisor of a loss: it is written when the tun lasts, and erased
// before the tun is. That it cannot be erased costs a false word at most.

// Of the tun that we hold, whatever it is called or marked by now, and wherever it was moved to. A child that still
// holds it keeps it only where we cannot delete it, and only as long as it runs.
Result<> Network::let_go(const std::string& uplink) {
  const auto held = tuns_.find(uplink);
  if (held == tuns_.end()) return {};
  const auto& queue = held->second.queues.front();
  (void)state_->forget_tun(uplink);
  Result<> gone;
  switch (place_of(queue)) {
    case TunPlace::here: gone = rtnetlink_.delete_link(held->second.ifindex); break;
    case TunPlace::elsewhere: gone = keep_tun(queue, false); break;
    case TunPlace::gone: break;
  }
  if (gone) tuns_.erase(held);
  return gone;
}

// By its mark; or by its number and name, if somebody gave it another mark.
bool Network::is_tun_of(const std::string& uplink, const LinkMessage& link, const std::string& name) const {
  if (link.kind != kTunKind) return false;
  return link.alias == tun_alias(uplink) || (link.link.name == name && link.link.ifindex == state_->noted_tun(uplink));
}

// That nobody here holds: under its name, and under another that somebody gave it.
Result<> Network::delete_tuns_of(const std::string& uplink, const std::string& name, Sparing sparing) {
  const auto named = rtnetlink_.link(name);
  const auto noted = rtnetlink_.link(state_->noted_tun(uplink));
  std::set<int> ours;
  for (const auto& link : {named, noted}) {
    if (!link) return std::unexpected(link.error());
    if (!*link || !is_tun_of(uplink, **link, name)) continue;
    if (sparing == Sparing::none || (*link)->link.name != name) ours.insert((*link)->link.ifindex);
  }
  if (!ours.empty()) (void)state_->forget_tun(uplink);
  for (const int ifindex : ours) {
    if (auto deleted = rtnetlink_.delete_link(ifindex); !deleted) return deleted;
  }
  return {};
}

std::vector<int> Network::tun_queues(const std::string& uplink) const {
  const auto held = tuns_.find(uplink);
  std::vector<int> queues;
  if (held != tuns_.end()) std::ranges::transform(held->second.queues, std::back_inserter(queues), &Fd::get);
  return queues;
}

Result<model::TunQueue> Network::tun_queue(const std::string& uplink) {
  const auto held = tuns_.find(uplink);
  if (held == tuns_.end()) return failure("no tun for " + uplink, ENODEV);
  pollfd waiting{.fd = held->second.queues.front().get(), .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, 0) < 0) return failure("poll the tun of " + uplink, errno);
  if ((waiting.revents & POLLIN) == 0) return model::TunQueue{};
  const auto read = rtnetlink_.packets_sent(held->second.ifindex);
  if (!read) return std::unexpected(read.error());
  return model::TunQueue{.waiting = true, .packets_read = *read};
}

// --- setup

// Below an MTU of 1280 the device has no IPv6 at all, which is as good.
Result<> Network::refuse_ipv6_addresses(int tun) {
  auto refused = rtnetlink_.change_link(tun, {.no_ipv6_addresses = true});
  if (!refused && refused.error().code == EAFNOSUPPORT) return {};
  return refused;
}

Result<> Network::drop_link_local_addresses(int tun) {
  const auto addresses = rtnetlink_.addresses(tun);
  if (!addresses) return std::unexpected(addresses.error());
  for (const auto& v6 : addresses->ipv6) {
    if (!v6.address.is_link_local()) continue;
    if (auto dropped = rtnetlink_.delete_address(tun, v6); !dropped) return dropped;
  }
  return {};
}

Result<> Network::configure(const model::SetupSpec& spec) {
  const auto link = rtnetlink_.link(spec.tun);
  if (!link) return std::unexpected(link.error());
  if (!*link) return failure("device is gone", ENODEV);

  bool may_have_addresses = sysctl_.read(addr_gen_mode(spec.tun_name)) != kNoAddresses;
  if (auto refused = refuse_ipv6_addresses(spec.tun); !refused) return refused;
  LinkChange change{.mtu = spec.mtu, .alias = tun_alias(spec.uplink)};
  if ((*link)->largest_offload > kLargestOffload) change.offload_limit = kLargestOffload;
  if (auto changed = rtnetlink_.change_link(spec.tun, change); !changed) return changed;
  // A device that is up and grows to 1280 gets its IPv6 now, with the default mode and a link-local address.
  if ((*link)->link.link_mtu < kIpv6MinimumMtu && spec.mtu >= kIpv6MinimumMtu) {
    if (auto refused = refuse_ipv6_addresses(spec.tun); !refused) return refused;
    may_have_addresses = true;
  }
  if (may_have_addresses) {
    if (auto dropped = drop_link_local_addresses(spec.tun); !dropped) return dropped;
  }
  if (auto set = sysctl_.write(rp_filter(spec.tun_name), kLooseRpFilter); !set) return set;
  if (auto set = sysctl_.write(disable_ipv6(spec.tun_name), kIpv6Enabled); !set && set.error().code != ENOENT)
    return set;
  if (auto added = rtnetlink_.add_address(spec.tun, spec.v4); !added) return added;
  return rtnetlink_.change_link(spec.tun, {.up = true});
}

Result<> Network::make(const model::SetupSpec& spec) { return in_context(configure(spec), spec.tun_name); }

Result<> Network::change(const model::SetupSpec& before, const model::SetupSpec& spec) {
  if (auto made = make(spec); !made) return made;
  if (before.tun != spec.tun || before.v4 == spec.v4) return {};
  return rtnetlink_.delete_address(before.tun, before.v4);
}

Result<> Network::remove(const model::SetupSpec& spec) {
  const auto link = rtnetlink_.link(spec.tun);
  if (!link) return std::unexpected(link.error());
  if (!*link) return {};
  auto result = rtnetlink_.delete_address(spec.tun, spec.v4);
  note(result, rtnetlink_.change_link(spec.tun, {.up = false}));
  return in_context(std::move(result), spec.tun_name);
}

// --- guard

Result<> Network::make(const model::GuardSpec& spec) { return rtnetlink_.add_route(guard_route(spec.v6)); }

Result<> Network::remove(const model::GuardSpec& spec) { return rtnetlink_.delete_route(guard_route(spec.v6)); }

// --- announce

Result<> Network::prepare_to_route(const model::AnnounceSpec& spec) {
  const auto forwarding = sysctl_.ipv6_forwarding();
  if (!forwarding) return std::unexpected(forwarding.error());
  if (!*forwarding) return failure("the routed leg needs net.ipv6.conf.all.forwarding=1", EPERM);
  const auto tun = rtnetlink_.link(spec.tun);
  if (!tun) return std::unexpected(tun.error());
  if (*tun && (*tun)->link.link_mtu < kIpv6MinimumMtu) {
    return failure("the routed leg needs a tun of MTU 1280 or more, " + (*tun)->link.name + " has " +
                       std::to_string((*tun)->link.link_mtu),
                   EMSGSIZE);
  }
  if (auto set = saved_.acquire({"net", "ipv6", "conf", "all", "proxy_ndp"}, "1", spec.uplink); !set) return set;
  // The default delays answers by up to 800 ms.
  const SysctlName delay{"net", "ipv6", "neigh", by_number(spec.uplink_ifindex), "proxy_delay"};
  return saved_.acquire(delay, "0", spec.uplink);
}

// The way goes before the word: nobody is told of an address that leads nowhere.
Result<> Network::announce(const model::AnnounceSpec& spec) {
  if (spec.leg == model::Leg::routed) {
    if (auto prepared = prepare_to_route(spec); !prepared) return prepared;
  }
  for (const auto& route : routes_of(spec)) {
    if (auto added = rtnetlink_.add_route(route); !added) return added;
  }
  if (spec.leg == model::Leg::anycast) {
    auto joined = android::join_anycast(spec.uplink_ifindex, spec.v6);
    if (!joined) return std::unexpected(std::move(joined).error());
    anycast_.insert_or_assign(spec.uplink, std::move(*joined));
  }
  return rtnetlink_.add_proxy(spec.uplink_ifindex, spec.v6);
}

Result<> Network::make(const model::AnnounceSpec& spec) {
  if (auto announced = announce(spec); !announced) {
    // All or nothing. What was in the way of the one is no reason to hide behind the error of the other.
    (void)remove(spec);
    return in_context(std::move(announced), "announce " + spec.v6.text() + " on " + spec.uplink);
  }
  return {};
}

Result<> Network::change(const model::AnnounceSpec& before, const model::AnnounceSpec& spec) {
  if (auto announced = announce(spec); !announced) {
    return in_context(std::move(announced), "announce " + spec.v6.text() + " on " + spec.uplink);
  }
  Result<> result;
  if (before.uplink_ifindex != spec.uplink_ifindex || before.v6 != spec.v6) {
    note(result, rtnetlink_.delete_proxy(before.uplink_ifindex, before.v6));
  }
  const auto wanted = routes_of(spec);
  for (const auto& route : routes_of(before)) {
    if (std::ranges::find(wanted, route) == wanted.end()) note(result, rtnetlink_.delete_route(route));
  }
  if (before.leg == model::Leg::routed && spec.leg != model::Leg::routed) note(result, saved_.release(before.uplink));
  if (spec.leg != model::Leg::anycast) anycast_.erase(spec.uplink);
  return result;
}

Result<> Network::remove(const model::AnnounceSpec& spec) {
  auto result = rtnetlink_.delete_proxy(spec.uplink_ifindex, spec.v6);
  anycast_.erase(spec.uplink);
  for (const auto& route : routes_of(spec)) note(result, rtnetlink_.delete_route(route));
  if (spec.leg == model::Leg::routed) note(result, saved_.release(spec.uplink));
  return result;
}

// --- default route

Result<> Network::make(const model::RouteSpec& spec) { return rtnetlink_.add_route(default_route(spec)); }

Result<> Network::remove(const model::RouteSpec& spec) { return rtnetlink_.delete_route(default_route(spec)); }

}  // namespace clat::system
