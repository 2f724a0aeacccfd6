// Interfaces as they may be, for every face.
#pragma once

#include <chrono>

#include "supervisor/model/status.hpp"

namespace clat::render::test {

using namespace model;

inline InterfaceStatus up() {
  InterfaceStatus status{.name = "wan0", .ifindex = 2, .state = State::up, .tun = "v4-wan0"};
  status.in_state = std::chrono::hours(3) + std::chrono::minutes(12);
  status.up_for = status.in_state;
  status.v4 = Ipv4Address::parse("192.0.0.4");
  status.v6 = Ipv6Address::parse("2001:db8:1::c1a7");
  status.prefix = Nat64Prefix::parse("64:ff9b::/96").value();
  status.prefix_source = PrefixSource::ra;
  status.offers.push_back({.candidate = {.prefix = *status.prefix, .router = Ipv6Address::parse("fe80::1")},
                           .expires_in = std::chrono::minutes(29)});
  status.route = Route{.next_hop = Ipv6Address::parse("fe80::1"), .mtu = {}};
  status.ipv6_mtu = 1500;
  status.ipv4_mtu = 1480;
  status.metric = 2048;
  status.tun_ifindex = 9;
  status.fast_path = "tcx";
  status.child = {.state = ChildState::running, .pid = 812, .ready = true, .starts = 1};
  status.counted = {.now = {{"fast_to_ipv6_tcp_packets", 100},
                            {"fast_to_ipv6_tcp_bytes", 4096},
                            {"fast_to_ipv4_tcp_packets", 200},
                            {"fast_to_ipv4_tcp_bytes", 3 * 1024 * 1024},
                            {"punt_to_ipv6_fragment", 2},
                            {"drop_connected", 3},
                            {"slow_to_ipv6_packets", 2},
                            {"slow_to_ipv6_bytes", 3000},
                            {"slow_answers", 1}},
                    .before = {{"fast_to_ipv4_tcp_bytes", 1024 * 1024}},
                    .between = std::chrono::seconds(2)};
  return status;
}

inline InterfaceStatus waiting() {
  InterfaceStatus status{.name = "wwan0", .ifindex = 3, .state = State::waiting, .tun = "v4-wwan0"};
  status.in_state = std::chrono::seconds(7);
  status.obstacle = Reason{Why::no_carrier};
  status.prefix = Nat64Prefix::parse("2001:db8:64::/96").value();
  status.prefix_source = PrefixSource::config;
  return status;
}

inline Status all() {
  return {.config = "/etc/clatvisor/clatvisor.yaml",
          .uptime = std::chrono::hours(4),
          .reloads = 1,
          .interfaces = {up(), waiting()}};
}

}  // namespace clat::render::test
