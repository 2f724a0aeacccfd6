// What we ask of the kernel over rtnetlink. add_*: fine when exactly this, ours, is there already; EEXIST when
// something else stands in its place, which is left alone. delete_*: fine when it is gone already; takes away only what
// is ours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/system/netlink_socket.hpp"
#include "supervisor/system/rtnl_parse.hpp"
#include "supervisor/system/traffic_control.hpp"

namespace clat::system {

// What is not set stays as it is.
struct LinkChange {
  std::optional<std::uint32_t> mtu = {};  // bytes
  std::optional<bool> up = {};
  std::optional<std::string> alias = {};
  std::optional<std::uint32_t> offload_limit = {};  // of GSO and GRO, IPv6's and IPv4's, bytes
  bool no_ipv6_addresses = false;  // addr_gen_mode none: no link-local address, no Router Solicitations
};

class RtNetlink {
 public:
  static Result<RtNetlink> open();

  // Nothing: there is no such link.
  Result<std::optional<LinkMessage>> link(int ifindex);
  Result<std::optional<LinkMessage>> link(const std::string& name);
  Result<std::vector<LinkMessage>> tuns();
  // Packets that left by it; by a tun: that somebody read.
  Result<std::uint64_t> packets_sent(int ifindex);
  Result<> change_link(int ifindex, const LinkChange& change);
  Result<> delete_link(int ifindex);

  // A /32 of ours on a device of ours.
  Result<> add_address(int ifindex, const Ipv4Address& address);
  Result<> delete_address(int ifindex, const Ipv4Address& address);
  Result<> delete_address(int ifindex, const model::Ipv6OnLink& address);
  // The addresses on one device.
  struct Addresses {
    std::vector<Ipv4Address> ipv4;
    std::vector<model::Ipv6OnLink> ipv6;
  };
  Result<Addresses> addresses(int ifindex);

  Result<> add_route(const HostRoute& route);
  Result<> delete_route(const HostRoute& route);
  Result<std::vector<HostRoute>> host_routes();  // ours

  Result<> add_route(const DefaultRoute& route);
  Result<> delete_route(const DefaultRoute& route);
  Result<std::vector<DefaultRoute>> default_routes();  // ours

  // ENETUNREACH, EHOSTUNREACH: there is none. EACCES, EINVAL: a rule or a route forbids it. Where the kernel keeps to a
  // router that is dead, the next best route of the same device and table goes by another.
  Result<model::Route> way_to(const model::WayTo& question);
  // Whether some route of somebody else's takes IPv4 packets to the Internet by that link. Without an answer: none
  // does.
  bool routes_ipv4(int ifindex);

  // The kernel asks whether it is there, and tells by its state.
  Result<> ask_neighbour(int ifindex, const Ipv6Address& address);

  // An entry of somebody else for the same address serves as well: add leaves it, delete too.
  Result<> add_proxy(int ifindex, const Ipv6Address& address);
  Result<> delete_proxy(int ifindex, const Ipv6Address& address);
  Result<std::vector<ProxyNeighbour>> proxies();  // everybody's

  // IPv4 that comes in by a tun of ours, to be handed to another device (traffic_control.hpp).
  Result<> copy_redirect(int tun, const std::optional<bpf::Redirect>& wanted) {
    return system::copy_redirect(socket_, tun, wanted);
  }
  Result<> verify_redirect(int tun, const std::optional<bpf::Redirect>& wanted) {
    return system::verify_redirect(socket_, tun, wanted);
  }

 private:
  Result<Way> way_from(const std::optional<Ipv6Address>& source, const model::WayTo& question);
  std::optional<model::Route> way_around(const model::WayTo& question, const Way& dead);
  explicit RtNetlink(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<std::optional<LinkMessage>> get_link(Request request);

  NetlinkSocket socket_;
};

}  // namespace clat::system
