// Network::purge and Network::sweep: cleaning up after a supervisor that was killed.
#include <algorithm>
#include <span>
#include <utility>

#include "core/base/first_error.hpp"
#include "supervisor/system/network.hpp"
#include "supervisor/system/our_routes.hpp"

namespace clat::system {

namespace {

constexpr std::string_view kMark = "clatvisor CLAT of ";

// By its mark, and the name that goes with it.
bool is_our_tun(const LinkMessage& link) {
  return link.alias.starts_with(kMark) && link.link.name == config::tun_name(link.alias.substr(kMark.size()));
}

// What is mapped one to one has routes of its own.
bool is_of_a_range(std::span<const model::RecordSpec> records, const HostRoute& route) {
  const auto is_of = [&](const RangeMapping& range) {
    return route == rest_route(range) || (route.device != 0 && route == range_route(range, route.device));
  };
  return std::ranges::any_of(records, [&](const auto& record) { return std::ranges::any_of(record.ranges, is_of); });
}

}  // namespace

std::string tun_alias(const std::string& uplink) { return std::string(kMark) + uplink; }

Network::Swept Network::sweep_tuns(const std::vector<model::RecordSpec>& records) {
  const auto tuns = rtnetlink_.tuns();
  if (!tuns) return {.result = std::unexpected(tuns.error())};
  Swept swept;
  for (const auto& each : *tuns) {
    const auto names_it = [&](const model::RecordSpec& record) {
      return record.tun == each.link.name || state_->noted_tun(record.uplink) == each.link.ifindex;
    };
    const auto record = std::ranges::find_if(records, names_it);
    if (record == records.end()) {
      // A carrier has only what somebody holds.
      if (each.carrier)
        swept.another_lives |= each.alias.starts_with(kMark);
      else if (is_our_tun(each))
        note(swept.result, rtnetlink_.delete_link(each.link.ifindex));
    } else if (!is_tun_of(record->uplink, each, record->tun) && each.link.name != record->tun) {
      // Its number alone is no proof.
      note(swept.result, failure(each.link.name + " may be what was " + record->tun + "; it is left alone"));
    }
  }
  return swept;
}

Result<> Network::sweep(const std::vector<model::RecordSpec>& records, Lan lan) {
  const auto has_v6 = [&](const Ipv6Address& v6) {
    return std::ranges::find(records, v6, &model::RecordSpec::v6) != records.end();
  };
  auto [result, another_lives] = sweep_tuns(records);
  note(result, sweep_rules(lan));
  for (const auto& record : records) {
    if (lan == Lan::not_served) note(result, saved_.release(record.tun));
  }
  if (another_lives) return result;
  const auto proxies = rtnetlink_.proxies();
  if (!proxies) return std::unexpected(proxies.error());
  for (const auto& proxy : *proxies) {
    if (proxy.protocol != kRouteProtocol || has_v6(proxy.address)) continue;
    note(result, rtnetlink_.delete_proxy(proxy.device, proxy.address));
  }
  const auto routes = rtnetlink_.host_routes();
  if (!routes) return std::unexpected(routes.error());
  for (const auto& route : *routes) {
    const bool is_named = (route.length == 128 && has_v6(route.destination)) || is_of_a_range(records, route);
    if (!is_named) note(result, rtnetlink_.delete_route(route));
  }
  return result;
}

Result<std::vector<std::string>> Network::missing_tuns(const std::vector<model::RecordSpec>& records) {
  std::vector<std::string> missing;
  for (const auto& record : records) {
    const int noted = state_->noted_tun(record.uplink);
    if (noted == 0) continue;
    bool here = false;
    for (const auto& link : {rtnetlink_.link(noted), rtnetlink_.link(record.tun)}) {
      if (!link) return std::unexpected(link.error());
      here |= *link && is_tun_of(record.uplink, **link, record.tun);
    }
    if (!here) missing.push_back(record.tun);
  }
  return missing;
}

Result<> Network::purge_routes(const model::RecordSpec& record) {
  Result<> result;
  const auto host_routes = rtnetlink_.host_routes();
  if (!host_routes) return std::unexpected(host_routes.error());
  for (const auto& route : *host_routes) {
    const bool leads_to_it = route.destination == record.v6 && route.device != 0;
    if (leads_to_it || is_of_a_range({&record, 1}, route)) note(result, rtnetlink_.delete_route(route));
  }
  const auto defaults = rtnetlink_.default_routes();
  if (!defaults) return std::unexpected(defaults.error());
  for (const auto& route : *defaults) {
    if (route.source == record.v4) note(result, rtnetlink_.delete_route(route));
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
  note(result, sweep_rules(Lan::served));
  note(result, saved_.release(record.uplink));
  note(result, saved_.release(record.tun));
  // Last: until then it keeps the kernel from answering for the address.
  note(result, remove(model::GuardSpec{record.v6}));
  return in_context(std::move(result), "purge " + record.uplink);
}

}  // namespace clat::system
