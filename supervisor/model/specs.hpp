// What a CLAT is made of: its parts, each described whole by its spec, a passive value, so "is it as wanted?" is one
// comparison.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bpf/attachment.hpp"
#include "bpf/ingress.hpp"
#include "config/config.hpp"
#include "core/net/address.hpp"
#include "core/net/ipv4_prefix.hpp"
#include "core/net/link_layer.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"

namespace clat::model {

// fast: programs on the uplink; the CLAT address is a blackhole to the kernel's own stack.
// routed: the kernel routes the CLAT address into the tun.
// anycast: it is an anycast address of the uplink, and clatd, one of Android's, reads the uplink by a packet socket.
enum class Leg : std::uint8_t { fast, routed, anycast };
std::string_view name(Leg leg);

// vnet: a virtio_net_hdr stands in front of each packet on the tun, and offloads are on. packet_info: a tun_pi, as
// Android's clatd wants it.
enum class TunFormat : std::uint8_t { vnet, packet_info };
// What a tun is for life.
struct TunShape {
  TunFormat format = TunFormat::vnet;
  std::uint32_t queues = 1;
  bool operator==(const TunShape&) const = default;
};

// The note in the state directory by which a successor recognises as ours what a killed supervisor left behind.
// It is written before, and removed after, everything it names.
struct RecordSpec {
  std::string uplink;
  int uplink_ifindex = 0;
  std::string tun;
  TunShape shape = {};  // of the tun
  Leg leg = Leg::fast;
  std::optional<std::uint32_t> metric;  // of the default route; none: there is none
  Ipv4Address v4;
  Ipv6Address v6;
  Nat64Prefix prefix;
  std::vector<RangeMapping> ranges = {};
  bool operator==(const RecordSpec&) const = default;
};
struct TunSpec {
  std::string name;
  TunShape shape = {};
  bool adopt = false;  // the device may exist already: it is ours by a record of this boot
  bool operator==(const TunSpec&) const = default;
};
// MTU, the IPv4 /32, up; no IPv6 address generation, loose rp_filter.
struct SetupSpec {
  int tun = 0;  // ifindex
  std::string tun_name;
  std::string uplink;
  Ipv4Address v4;
  std::uint32_t mtu = 0;
  bool operator==(const SetupSpec&) const = default;
};
// The blackhole /128 that keeps the kernel's own stack from answering for the CLAT address.
struct GuardSpec {
  Ipv6Address v6;
  bool operator==(const GuardSpec&) const = default;
};
// bpf: a program at the tun's ingress. nftables: rules in a table of ours, where BPF is not to be had.
enum class FilterMeans : std::uint8_t { bpf, nftables };
std::string_view name(FilterMeans means);
// What clatd may write into its tun: IPv6 from the CLAT address or a mapped one into the NAT64 prefix, IPv4 from a
// possible peer to the CLAT's own address or a mapped one, and nothing else.
struct FilterSpec {
  FilterMeans means = FilterMeans::bpf;
  bpf::Filter filter;
  // With nftables: subnets of the host's other interfaces. The programs have a map of them (KnowSubnets).
  std::vector<Ipv4Prefix> connected = {};
  bool operator==(const FilterSpec&) const = default;
};
using FastPathSpec = bpf::Attachment;
// What comes in by the tun is shaped as what comes in by the uplink: a copy of the uplink's redirect, behind the
// filter. Without one an earlier supervisor's is taken away.
struct ShapingSpec {
  int tun = 0;  // ifindex
  std::string device = {};
  std::optional<bpf::Redirect> redirect = {};
  bool operator==(const ShapingSpec&) const = default;
};
// The proxy-neighbour entry (it joins the solicited-node group); on the routed leg also the routes into the tun, for
// the CLAT address and for what is mapped one to one, and the sysctls that make the kernel answer, on the anycast leg
// the membership. What is in a mapped prefix and nobody's is a blackhole.
struct AnnounceSpec {
  std::string uplink;
  int uplink_ifindex = 0;
  int tun = 0;
  Ipv6Address v6;
  Leg leg = Leg::fast;
  std::vector<RangeMapping> ranges = {};
  bool operator==(const AnnounceSpec&) const = default;
};
struct ChildSpec {
  config::Dialect dialect = config::Dialect::native;
  std::string uplink;
  int uplink_ifindex = 0;
  std::string path;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  int tun = 0;
  Ipv4Address v4;
  Ipv6Address v6;
  Nat64Prefix prefix;
  std::uint32_t mtu = 0;              // IPv6 MTU towards the NAT64, bytes; a running child is told a new one
  std::uint32_t lowest_ipv6_mtu = 0;  // RFC 7915 §4.1, bytes; likewise
  std::uint32_t icmp_rate = 0;        // own ICMP errors per second
  std::uint32_t queues = 1;
  bool allow_private_ipv4 = false;  // RFC 6052 §3.1
  std::uint32_t mark = 0;           // fwmark of what Android's clatd sends
  std::uint32_t net_id = 0;         // Android's, handed on
  std::vector<RangeMapping> ranges = {};
  bool operator==(const ChildSpec&) const = default;
};
// What serves a LAN by this CLAT: rules of nftables about the tun, and IPv4 forwarding.
struct LanSpec {
  std::string uplink;
  int tun = 0;  // ifindex
  std::string tun_name;
  config::Lan wishes = {};
  std::vector<Ipv4Prefix> unmasqueraded = {};  // what is mapped one to one keeps its addresses
  bool operator==(const LanSpec&) const = default;
};
struct RouteSpec {
  int tun = 0;
  Ipv4Address v4;  // preferred source
  std::uint32_t metric = 0;
  bool operator==(const RouteSpec&) const = default;
};

// The socket of neighbour discovery on the uplink. It is in nobody's way, and ends with this process.
struct ListenSpec {
  std::string uplink;
  int uplink_ifindex = 0;
  LinkLayer layer = LinkLayer::ethernet;
  bool routers = false;                // their advertisements are heard
  std::optional<Ipv6Address> v6 = {};  // what neighbours say of it is heard
  // Routers of which it is told when they do not answer any more, and, once one does not, when they do.
  std::vector<Ipv6Address> next_hops = {};
  bool recovering = false;
  bool operator==(const ListenSpec&) const = default;
};

// In the order in which they are made; taken down in reverse.
enum class Part : std::uint8_t {
  record,
  tun,
  setup,
  guard,
  filter,
  fast_path,
  shaping,
  announce,
  child,
  lan,
  route,
  listen
};
using Spec = std::variant<RecordSpec, TunSpec, SetupSpec, GuardSpec, FilterSpec, FastPathSpec, ShapingSpec,
                          AnnounceSpec, ChildSpec, LanSpec, RouteSpec, ListenSpec>;
constexpr std::size_t kParts = std::variant_size_v<Spec>;
inline Part part_of(const Spec& spec) { return static_cast<Part>(spec.index()); }
std::string_view name(Part part);

}  // namespace clat::model
