// What the kernel says exists, as passive values. supervisor/system reads them from netlink.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bpf/ingress.hpp"
#include "core/net/address.hpp"
#include "core/net/ipv4_prefix.hpp"
#include "core/net/link_layer.hpp"
#include "core/net/prefix.hpp"
#include "supervisor/model/on_links.hpp"

namespace clat::model {

// Steady: steps of the wall clock change nothing.
using TimePoint = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

struct Link {
  int ifindex = 0;
  std::string name;
  bool up = false;        // IFF_UP
  bool carrier = false;   // IFF_LOWER_UP
  std::uint32_t mtu = 0;  // the smaller of the link's and its IPv6 MTU, bytes
  LinkLayer layer = LinkLayer::other;
  MacAddress mac;
  std::uint32_t link_mtu = 0;  // the link's own
  bool is_ifb = false;         // it hands what it is sent to the stack, as come in by where it was taken from
  std::vector<std::string> altnames = {};
  bool operator==(const Link&) const = default;
};

struct Ipv6OnLink {
  Ipv6Address address;
  std::uint8_t length = 0;
  bool usable = false;  // global scope, neither tentative nor DAD-failed
  bool deprecated = false;
  bool temporary = false;  // RFC 8981
  bool operator==(const Ipv6OnLink&) const = default;
};

// The way from one uplink to an address, as the kernel would go if it had to leave by that uplink.
struct Route {
  std::optional<Ipv6Address> next_hop;  // none: on the link
  std::optional<std::uint32_t> mtu;     // a limit that the route sets, bytes
  bool operator==(const Route&) const = default;
};

// Where the NAT64 prefix is known from. record: it was in use when the sources last spoke to an earlier supervisor, or
// when it was still in the config.
enum class PrefixSource : std::uint8_t { config, ra, dns, record };
std::string_view name(PrefixSource source);

struct PrefixCandidate {
  Nat64Prefix prefix;
  PrefixSource source = PrefixSource::ra;
  std::optional<Ipv6Address> router = {};             // that advertised it
  std::optional<TimePoint> expires = {};              // none: until a source speaks
  std::optional<std::chrono::seconds> lifetime = {};  // as it was told last
  bool operator==(const PrefixCandidate&) const = default;
};

// A question for the way to `destination` by that link: as packets of each source would go, in this order, then of
// none.
struct WayTo {
  Ipv6Address destination;
  int ifindex = 0;
  std::uint32_t mark = 0;
  std::vector<Ipv6Address> sources = {};
  std::vector<Ipv6Address> dead = {};  // routers that are taken only where there is no other
  bool operator==(const WayTo&) const = default;
};

// By ifindex and by name, which may be an altname; of two that have one name for a moment, the one seen last.
class Links {
 public:
  void put(Link link);
  void erase(int ifindex);
  [[nodiscard]] const Link* find(int ifindex) const;
  [[nodiscard]] const Link* find(const std::string& name) const;
  [[nodiscard]] const std::map<int, Link>& all() const { return by_ifindex_; }  // by ifindex
  [[nodiscard]] std::size_t size() const { return by_ifindex_.size(); }
  bool operator==(const Links& other) const { return by_ifindex_ == other.by_ifindex_; }

 private:
  void forget_name(const std::string& name, int ifindex);

  std::map<int, Link> by_ifindex_;
  std::map<std::string, int> by_name_;
};

// Which chain of the host's own firewall drops what a CLAT needs to be forwarded: "ip6 filter FORWARD". Empty: none
// that can be told.
struct Firewall {
  std::string drops_clat = {};  // IPv6 between uplink and tun, which is all there is on the routed leg
  std::string drops_lan = {};   // IPv4 of others towards the tun, while the host forwards IPv4
  bool operator==(const Firewall&) const = default;
};

struct Ipv4OnLink {
  Ipv4Address address;
  Ipv4Prefix subnet = {};  // reached through the link; a peer of a point-to-point link, say
  bool operator==(const Ipv4OnLink&) const = default;
};

struct Kernel {
  Links links;
  OnLinks<Ipv6OnLink, &Ipv6OnLink::address> ipv6;
  OnLinks<Ipv4OnLink, &Ipv4OnLink::address> ipv4;
  std::map<int, bpf::Ingress> ingress = {};  // by ifindex, where there are filters
  void put(int ifindex, bpf::Ingress now) {
    if (now == bpf::Ingress{})
      ingress.erase(ifindex);
    else
      ingress.insert_or_assign(ifindex, std::move(now));
  }
  bool operator==(const Kernel&) const = default;
};

}  // namespace clat::model
