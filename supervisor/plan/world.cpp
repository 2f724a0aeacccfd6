#include "supervisor/plan/world.hpp"

#include <algorithm>
#include <cerrno>

namespace clat::plan {

void Piece::forget() {
  have.reset();
  damaged = false;
}

bool Child::is_flapping(TimePoint now) const {
  return ends.size() == kFlappingEnds && now - ends.front() < kFlappingTime;
}

void Samples::take(Counters counters, TimePoint at) {
  if (now && at - now->at >= kShortestRate) before = std::move(now);
  now = Sample{at, std::move(counters)};
}

void Clat::lose_tun() {
  tun = 0;
  piece(Part::tun).forget();
  adopt = false;
}

void Clat::forget_routers() {
  prefixes.forget();
  name_servers = {};
  advertised_mtu.reset();
}

Reason Clat::why_no_clatd() const {
  if (child.process.condemned) return {.why = Why::no_clatd, .ending = *child.process.condemned};
  if (child.refused) return {Why::clatd_refused};
  return {.why = Why::no_clatd, .ending = child.last_end};
}

bool Clat::can_be_probed() const {
  return piece(Part::setup).stands() && piece(Part::announce).stands() && was_ready && !misses_clatd;
}

std::optional<Reason> Clat::why_unused() const {
  if (misses_clatd) return why_no_clatd();
  if (probing.is_silent()) return Reason{Why::nat64_silent, probing.wish->address.text()};
  return std::nullopt;
}

const Retry* Clat::failure() const {
  const auto failing = std::ranges::find_if(pieces, [&](const Piece& each) {
    if (&each == &piece(Part::shaping)) return false;  // all else works
    return each.retry.failed() && !(&each == &piece(Part::route) && route_is_taken());
  });
  return failing == pieces.end() ? nullptr : &failing->retry;
}

bool Clat::route_is_taken() const {
  const auto& ours = piece(Part::route);
  return !ours.stands() && ours.retry.error && ours.retry.error->code == EEXIST;
}

bool Clat::is_unconfined() const {
  const auto& filter = piece(Part::filter);
  // EAGAIN: the one that was lost is at work still.
  return !filter.stands() && filter.retry.failed() && filter.failing != Verb::remove &&
         filter.retry.error->code != EAGAIN;
}

bool Clat::hears_routers() const {
  const auto& listen = piece(Part::listen);
  return listen.stands() && std::get<ListenSpec>(*listen.have).routers;
}

bool Clat::hears_of(const Ipv6Address& v6) const {
  const auto& listen = piece(Part::listen);
  return listen.stands() && std::get<ListenSpec>(*listen.have).v6 == v6;
}

bool Clat::has_tun() const { return piece(Part::tun).have || has_under_way(Part::tun); }

bool Clat::empty() const {
  return retired.empty() && !under_way &&
         std::ranges::none_of(pieces, [](const Piece& each) { return each.have.has_value(); });
}

void World::bury_tun(int ifindex) {
  buried_tuns.insert(ifindex);
  kernel.links.erase(ifindex);
  kernel.ipv4.erase(ifindex);
  kernel.ipv6.erase(ifindex);
  kernel.ingress.erase(ifindex);
}

void World::use(std::shared_ptr<const config::Config> now) {
  config = std::move(now);
  fixed_ipv4.clear();
  mapped.clear();
  for (const auto& each : config->interfaces) {
    if (each.ipv4_address) fixed_ipv4.emplace(each.ipv4_address->number(), each.name);
    mapped.insert(mapped.end(), each.ranges.begin(), each.ranges.end());
  }
  find_interfaces();
}

void World::find_interfaces() {
  if (!config) return;
  if (kernel_known) std::erase_if(metrics, [&](const auto& each) { return kernel.links.find(each.first) == nullptr; });
  interfaces_ = interfaces_on(*config, kernel.links, metrics, [this](const Link& link) {
    const auto has_tun = [&](const auto& each) { return each.second.tun == link.ifindex; };
    const auto left_it = [&](const auto& each) { return each.second.record.tun == link.name; };
    return buried_tuns.contains(link.ifindex) || std::ranges::any_of(clats, has_tun) ||
           std::ranges::any_of(leftovers, left_it);
  });
}

const Interface* World::interface(const std::string& uplink) const {
  const auto found = interfaces_.find(uplink);
  return stopping || found == interfaces_.end() ? nullptr : &found->second;
}

const config::Interface* World::wanted(const std::string& uplink) const {
  const auto* found = interface(uplink);
  return found == nullptr ? nullptr : &found->wanted;
}

}  // namespace clat::plan
