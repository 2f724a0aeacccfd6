// What the kernel tells about links, addresses, routes and traffic control.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/system/netlink_socket.hpp"
#include "supervisor/system/rtnl_parse.hpp"

namespace clat::sources {

// Subscribed from open() on, so a dump taken after it misses nothing.
class NetlinkMonitor {
 public:
  // Bytes the kernel may queue before it loses notifications. 4 MiB hold some thousands.
  static constexpr std::size_t kReceiveBuffer = 4 << 20;
  static Result<NetlinkMonitor> open(std::size_t receive_buffer = kReceiveBuffer);

  [[nodiscard]] int fd() const { return fd_.get(); }

  using EventSink = std::function<void(model::Event)>;
  // overrun: notifications were lost, so dump().
  enum class Drained { all, overrun };
  // Reads until nothing is left. Ipv6RoutesChanged comes once, Ipv4DefaultRouteChanged once per metric, and
  // TrafficControlChanged once per interface, last and however many notifications there were.
  Result<Drained> read(const EventSink& sink);

  // Links, addresses and what filters do at ingress as they are now. Also the way to learn of an IPv6 MTU that a sysctl
  // or a router advertisement changed: the kernel notifies nobody of that.
  struct Dumped {
    model::Kernel kernel;
    std::vector<system::LinkMessage> tuns;  // everybody's, with what only an audit wants to know
  };
  Result<Dumped> dump();

 private:
  NetlinkMonitor(Fd fd, system::NetlinkSocket requests);
  // Notifications that say no more than "look again".
  struct Hints {
    bool ipv6_routes = false;
    std::set<std::uint32_t> ipv4_defaults;  // metrics
    std::set<int> traffic_control;          // ifindexes
  };
  void deliver(system::Bytes datagram, const EventSink& sink, Hints& hints);
  model::Event settled(model::Event event, const system::Message& message);

  Fd fd_;
  system::NetlinkSocket requests_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace clat::sources
