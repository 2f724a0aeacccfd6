// What FastPath is made of, for its own files.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "bpf/clat_abi.h"
#include "bpf/fast_path.hpp"
#include "bpf/hook.hpp"
#include "bpf/maps.hpp"
#include "bpf/object.hpp"
#include "bpf/pins.hpp"

namespace clat::bpf {

constexpr char kLanIngress[] = "lan-ingress";
constexpr char kLanEgress[] = "lan-egress";

struct Program {
  int fd = -1;
  std::uint32_t id = 0;
};

struct FastPath::Impl {
  OwnFolders folders;
  Object object;
  Program uplink_ethernet, uplink_raw_ip, tun_egress, tun_ingress, lan_ingress, lan_egress;
  Maps maps;
  Shortcuts shortcuts;
  bool tcx = false;
  std::map<int, int> filtered;  // by this process: uplinks, and the tuns of their filters; ifindexes
  // Hooks where a link has to go first, and since when.
  std::map<std::pair<int, Flow>, std::chrono::steady_clock::time_point> waiting;

  // With the maps that are pinned. False where those do not fit.
  Result<bool> open_programs();
  Result<> load();
  [[nodiscard]] std::array<std::pair<int, Pin>, 2> map_pins() const {
    return {std::pair{maps.interfaces(), Pin{folders.present, kInterfacesPin}},
            std::pair{maps.counters(), Pin{folders.present, kCountersPin}}};
  }
  Result<> pin_maps() const;

  [[nodiscard]] Hook filter_hook(const Ends& ends) const {
    return {"tun-ingress", ends.tun, Flow::ingress, tun_ingress.fd, tun_ingress.id, {.ipv4 = true, .ipv6 = true}};
  }
  // In the order of attaching. What does not come to the program on tun egress, clatd translates.
  [[nodiscard]] std::array<Hook, 2> fast_hooks(const Ends& ends, LinkLayer layer = LinkLayer::ethernet) const {
    const auto& uplink = layer == LinkLayer::raw_ip ? uplink_raw_ip : uplink_ethernet;
    return {Hook{"tun-egress", ends.tun, Flow::egress, tun_egress.fd, tun_egress.id},
            Hook{"uplink-ingress", ends.uplink, Flow::ingress, uplink.fd, uplink.id, {.ipv6 = true}}};
  }
  [[nodiscard]] std::array<Hook, 2> lan_hooks(int device) const {
    return {Hook{kLanEgress, device, Flow::egress, lan_egress.fd, lan_egress.id},
            Hook{kLanIngress, device, Flow::ingress, lan_ingress.fd, lan_ingress.id}};
  }
  [[nodiscard]] Pin pin(int uplink_ifindex, const Hook& hook) const {
    return link_pin(folders.present, uplink_ifindex, hook.name);
  }
  [[nodiscard]] std::vector<Pin> older_pins(int uplink_ifindex, const Hook& hook) const {
    std::vector<Pin> pins;
    for (const auto& folder : folders.others) pins.push_back(link_pin(folder, uplink_ifindex, hook.name));
    return pins;
  }

  Result<> attach(const Filter& filter);
  Result<> attach(const Attachment& a);
  Result<> attach_hook(int uplink_ifindex, const Hook& hook);
  Result<> verify_hook(const Hook& hook) const;
  Error still_there(const Hook& hook, Error error);

  // Whether the filter at the tun of this uplink is that of `ends`.
  [[nodiscard]] bool has_filter(const Ends& ends) const;
  // Of another CLAT, whose uplink is gone and had the same number; its clatd may run still. The pins go by that number:
  // a second filter would take them from the first.
  [[nodiscard]] bool holds_back(const Ends& ends) const;
  // Another CLAT attached to what has the number of this uplink by now.
  [[nodiscard]] bool is_filter_of_another(const Ends& ends) const {
    return filtered.contains(ends.uplink) && !has_filter(ends);
  }

  // These go on after an error, and return the first.
  Result<> detach_hook(const Ends& ends, const Hook& hook, bool pins_are_of_another);
  Result<> leave_tun(const Ends& ends);
  Result<> detach_filter(const Ends& ends);
  Result<> detach_fast_path(const Ends& ends);
  Result<> forget_other_versions();

  Result<> attach_lan(int device);
  Result<> leave_lan(int device);
  // Where programs of the LAN are, this process's and earlier ones'.
  [[nodiscard]] std::set<int> lan_devices() const;
};

}  // namespace clat::bpf
