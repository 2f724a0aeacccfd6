// A flow that may take the shortcut between LAN and uplink, as a passive value.
#pragma once

#include <cstdint>

#include "core/net/address.hpp"

namespace clat::bpf {

struct ShortcutFlow {
  int lan = 0;  // ifindexes
  int uplink = 0;
  int tun = 0;
  std::uint8_t protocol = 0;  // TCP or UDP
  Ipv4Address host = {};      // in the LAN
  Ipv4Address own = {};       // what it is in the tun: the CLAT's address, or its own
  Ipv4Address peer = {};
  std::uint16_t host_port = 0, own_port = 0, peer_port = 0;  // host order
  Ipv4Address next_hop = {};                                 // towards the host
  std::uint32_t lan_mtu = 0;                                 // bytes
  bool operator==(const ShortcutFlow&) const = default;
};

}  // namespace clat::bpf
