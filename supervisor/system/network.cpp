#include "supervisor/system/network.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "core/net/mtu.hpp"
#include "supervisor/system/android_sockets.hpp"
#include "supervisor/system/our_routes.hpp"
#include "supervisor/system/tun_sysctls.hpp"

namespace clat::system {

namespace {

// Keeps the first error.
void note(Result<>& first, Result<> next) {
  if (first && !next) first = std::move(next);
}

bool is_our_tun(const LinkMessage& link, const std::string& uplink) {
  return link.kind == "tun" && link.alias == tun_alias(uplink);
}

// Of whatever uplink.
bool is_our_tun(const LinkMessage& link) {
  constexpr std::string_view kPrefix = "v4-";
  return link.link.name.starts_with(kPrefix) && is_our_tun(link, link.link.name.substr(kPrefix.size()));
}

}  // namespace

std::string tun_alias(const std::string& uplink) { return "clatvisor CLAT of " + uplink; }

Result<Network> Network::open(StateDir& state, Sysctl sysctl) {
  auto rtnetlink = RtNetlink::open();
  if (!rtnetlink) return std::unexpected(rtnetlink.error());
  auto saved = SavedSysctls::open(state, sysctl);
  if (!saved) return std::unexpected(saved.error());
  return Network(std::move(*rtnetlink), std::move(sysctl), std::move(*saved));
}

// --- tun

Result<int> Network::make(const std::string& uplink, const model::TunSpec& spec) {
  const auto there = rtnetlink_.link(spec.name);
  if (!there) return std::unexpected(there.error());
  const auto held = tuns_.find(uplink);
  if (*there && held != tuns_.end() && held->second.ifindex == (*there)->link.ifindex) return held->second.ifindex;
  tuns_.erase(uplink);
  if (*there) {
    if (!is_our_tun(**there, uplink)) return failure(spec.name + " exists and is not ours", EEXIST);
    if (!spec.adopt) return failure(spec.name + " was left by an earlier clatvisor, without a record", EEXIST);
  }
  auto tun = open_tun(spec.name, *there ? TunOpening::adopt : TunOpening::create, spec.shape);
  if (!tun) return std::unexpected(tun.error());
  if (auto sole = hold_every_queue(*tun, spec); !sole) return std::unexpected(std::move(sole).error());
  // The mark comes before persistence: nothing of ours can outlive us unmarked.
  auto kept = rtnetlink_.change_link(tun->ifindex, {.alias = tun_alias(uplink)});
  if (kept) kept = keep_tun(tun->queues.front(), true);
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
  if (const auto held = tuns_.find(uplink); held != tuns_.end()) {
    // By ifindex: whatever it is called or marked by now. A child that still holds it does not keep it.
    auto deleted = rtnetlink_.delete_link(held->second.ifindex);
    if (!deleted) return in_context(std::move(deleted), spec.name);
    tuns_.erase(held);
  }
  return delete_our_tun(uplink, spec.name);
}

Result<> Network::delete_our_tun(const std::string& uplink, const std::string& name) {
  const auto link = rtnetlink_.link(name);
  if (!link) return std::unexpected(link.error());
  if (!*link || !is_our_tun(**link, uplink)) return {};
  return in_context(rtnetlink_.delete_link((*link)->link.ifindex), name);
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

Result<> Network::change(const model::GuardSpec& before, const model::GuardSpec& spec) {
  auto made = make(spec);
  if (!made || before == spec) return made;
  return remove(before);
}

Result<> Network::remove(const model::GuardSpec& spec) { return rtnetlink_.delete_route(guard_route(spec.v6)); }

// --- announce

Result<> Network::route_into_tun(const model::AnnounceSpec& spec) {
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
  if (auto set = saved_.acquire({"net", "ipv6", "neigh", spec.uplink, "proxy_delay"}, "0", spec.uplink); !set) {
    return set;
  }
  return rtnetlink_.add_route(tun_route(spec));
}

// The way goes before the word: nobody is told of an address that leads nowhere.
Result<> Network::announce(const model::AnnounceSpec& spec) {
  if (spec.leg == model::Leg::routed) {
    if (auto routed = route_into_tun(spec); !routed) return routed;
  }
  if (spec.leg == model::Leg::anycast) {
    auto joined = join_anycast(spec.uplink_ifindex, spec.v6);
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
  if (before.leg == model::Leg::routed && (spec.leg != model::Leg::routed || tun_route(before) != tun_route(spec))) {
    note(result, rtnetlink_.delete_route(tun_route(before)));
  }
  if (before.leg == model::Leg::routed && spec.leg != model::Leg::routed) note(result, saved_.release(before.uplink));
  if (spec.leg != model::Leg::anycast) anycast_.erase(spec.uplink);
  return result;
}

Result<> Network::remove(const model::AnnounceSpec& spec) {
  auto result = rtnetlink_.delete_proxy(spec.uplink_ifindex, spec.v6);
  anycast_.erase(spec.uplink);
  if (spec.leg == model::Leg::routed) {
    note(result, rtnetlink_.delete_route(tun_route(spec)));
    note(result, saved_.release(spec.uplink));
  }
  return result;
}

// --- default route

Result<> Network::make(const model::RouteSpec& spec) { return rtnetlink_.add_route(default_route(spec)); }

Result<> Network::change(const model::RouteSpec& before, const model::RouteSpec& spec) {
  if (before.metric == spec.metric) return rtnetlink_.replace_route(default_route(spec));
  if (auto made = make(spec); !made) return made;
  return remove(before);
}

Result<> Network::remove(const model::RouteSpec& spec) { return rtnetlink_.delete_route(default_route(spec)); }

// --- purge

Result<> Network::purge_routes(const model::RecordSpec& record) {
  Result<> result;
  const auto host_routes = rtnetlink_.host_routes();
  if (!host_routes) return std::unexpected(host_routes.error());
  for (const auto& route : *host_routes) {
    if (route.destination == record.v6 && route.device != 0) note(result, rtnetlink_.delete_route(route));
  }
  const auto defaults = rtnetlink_.default_routes();
  if (!defaults) return std::unexpected(defaults.error());
  for (const auto& route : *defaults) {
    if (route.source == record.v4) note(result, rtnetlink_.delete_route(route));
  }
  return result;
}

Result<> Network::sweep(const std::vector<model::RecordSpec>& records) {
  const auto has_v6 = [&](const Ipv6Address& v6) {
    return std::ranges::find(records, v6, &model::RecordSpec::v6) != records.end();
  };
  Result<> result;
  const auto links = rtnetlink_.links();
  if (!links) return std::unexpected(links.error());
  for (const auto& each : *links) {
    const bool named = std::ranges::find(records, each.link.name, &model::RecordSpec::tun) != records.end();
    // A carrier has only what somebody holds: another clatvisor, then.
    if (!named && is_our_tun(each) && !each.carrier) note(result, rtnetlink_.delete_link(each.link.ifindex));
  }
  const auto proxies = rtnetlink_.proxies();
  if (!proxies) return std::unexpected(proxies.error());
  for (const auto& proxy : *proxies) {
    if (proxy.protocol != kRouteProtocol || has_v6(proxy.address)) continue;
    note(result, rtnetlink_.delete_proxy(proxy.device, proxy.address));
  }
  const auto routes = rtnetlink_.host_routes();
  if (!routes) return std::unexpected(routes.error());
  for (const auto& route : *routes) {
    if (route == guard_route(route.destination) && !has_v6(route.destination)) {
      note(result, rtnetlink_.delete_route(route));
    }
  }
  return result;
}

Result<> Network::purge(const model::RecordSpec& record) {
  Result<> result;
  if (const auto proxies = rtnetlink_.proxies(); !proxies) {
    note(result, std::unexpected(proxies.error()));
  } else {
    for (const auto& proxy : *proxies) {
      if (proxy.address == record.v6) note(result, rtnetlink_.delete_proxy(proxy.device, proxy.address));
    }
  }
  note(result, purge_routes(record));
  note(result, remove(record.uplink, model::TunSpec{.name = record.tun}));
  note(result, saved_.release(record.uplink));
  // Last: until then it keeps the kernel from answering for the address.
  note(result, remove(model::GuardSpec{record.v6}));
  return in_context(std::move(result), "purge " + record.uplink);
}

}  // namespace clat::system
