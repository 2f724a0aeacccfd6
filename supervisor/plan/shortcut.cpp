#include "supervisor/plan/shortcut.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "supervisor/plan/judge.hpp"

namespace clat::plan {

namespace {

bool has_fast_path(const World& world, const std::string& name, const Clat& clat) {
  const auto* wanted = world.wanted(name);
  return wanted != nullptr && clat.piece(Part::fast_path).stands() && !clat.outlook.must_go[index(Part::fast_path)] &&
         !clatd_is_data_path(world, *wanted, clat);
}

std::vector<ShortcutSpec::Clat> clats_of(const World& world) {
  std::vector<ShortcutSpec::Clat> all;
  for (const auto& [name, clat] : world.clats) {
    if (!has_fast_path(world, name, clat)) continue;
    const auto& fast = std::get<FastPathSpec>(*clat.piece(Part::fast_path).have);
    all.push_back({fast.uplink_ifindex, fast.tun_ifindex, fast.v4, fast.v6, fast.prefix});
    std::ranges::transform(fast.ranges, std::back_inserter(all.back().mapped), &RangeMapping::v4);
  }
  return all;
}

std::optional<Unserved> why_not(const World& world, const Link* link) {
  if (link == nullptr) return Unserved::absent;
  if (link->layer != LinkLayer::ethernet) return Unserved::no_ethernet;
  for (const auto& [name, clat] : world.clats) {
    const auto* uplink = world.link(name);
    if (clat.tun == link->ifindex || (uplink != nullptr && uplink->ifindex == link->ifindex)) return Unserved::uplink;
  }
  return std::nullopt;
}

}  // namespace

void settle_shortcut(World& world, std::vector<Notice>& notices) {
  auto& shortcut = world.shortcut;
  const auto& devices = world.config->offload;
  shortcut.wanted = {};
  if (world.stopping || devices.empty()) {
    shortcut.unserved.clear();
    return;
  }
  shortcut.wanted.reloads = world.reloads;
  shortcut.wanted.clats = clats_of(world);
  const bool any_up = std::ranges::any_of(world.clats, [](const auto& each) { return each.second.up; });
  std::map<std::string, Unserved> unserved;
  for (const auto& device : devices) {
    const auto* link = world.link(device);
    if (const auto why = why_not(world, link))
      unserved.emplace(device, *why);
    else if (shortcut.wanted.clats.empty() && any_up)
      unserved.emplace(device, Unserved::no_fast_path);
    else if (link->up)
      shortcut.wanted.lans.push_back({link->ifindex, link->name, link->link_mtu});
  }
  if (!shortcut.wanted.is_served()) shortcut.wanted = {};
  for (const auto& [device, why] : unserved) {
    const auto told = shortcut.unserved.find(device);
    if (told == shortcut.unserved.end() || told->second != why)
      notices.push_back({device, notice::ShortcutUnavailable{why, std::nullopt}});
  }
  shortcut.unserved = std::move(unserved);
}

}  // namespace clat::plan
