#include "supervisor/system/host_firewall.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
// Behind <netinet/in.h>, since it brings the kernel's own.
#include <linux/netfilter.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace clat::system {

namespace {

// All of it: a firewall that lets pings through, or the ports of some services, has been asked to.
std::optional<std::string> blocks(const nft::Ruleset& ruleset, nft::Packet packet) {
  std::optional<std::string> chain;
  for (const std::uint8_t transport : {IPPROTO_UDP, IPPROTO_TCP}) {
    packet.transport = transport;
    chain = nft::dropped_by(ruleset, packet);
    if (!chain) break;
  }
  return chain;
}

// What clatd sends begins a flow; what comes back for it belongs to one.
std::string drops_clat(const nft::Ruleset& ruleset, const model::AnnounceSpec& spec, const std::string& tun) {
  const nft::Packet sent{.protocol = NFPROTO_IPV6,
                         .in = tun,
                         .out = spec.uplink,
                         .in_index = spec.tun,
                         .out_index = spec.uplink_ifindex,
                         .connection_state = nft::kNew};
  const nft::Packet received{.protocol = NFPROTO_IPV6,
                             .in = spec.uplink,
                             .out = tun,
                             .in_index = spec.uplink_ifindex,
                             .out_index = spec.tun,
                             .connection_state = nft::kEstablished};
  auto chain = blocks(ruleset, sent);
  if (!chain) chain = blocks(ruleset, received);
  return chain.value_or("");
}

// What has one address alone is the end of a tunnel, as our tuns are, and no LAN.
bool has_subnet(const ifaddrs& entry) {
  constexpr unsigned int wanted = IFF_UP | IFF_RUNNING;
  if ((entry.ifa_flags & (wanted | IFF_LOOPBACK)) != wanted) return false;
  if (entry.ifa_addr == nullptr || entry.ifa_addr->sa_family != AF_INET || entry.ifa_netmask == nullptr) return false;
  return reinterpret_cast<const sockaddr_in*>(entry.ifa_netmask)->sin_addr.s_addr != INADDR_NONE;
}

std::vector<std::string> links_with_subnets() {
  std::vector<std::string> names;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return names;
  for (const auto* each = all; each != nullptr; each = each->ifa_next) {
    // An address may have a label: "lan0:1".
    const std::string_view label(each->ifa_name);
    if (has_subnet(*each)) names.emplace_back(label.substr(0, label.find(':')));
  }
  ::freeifaddrs(all);
  return names;
}

// Of all of them: one that gets through is served, and that others do not may be somebody's will.
std::string drops_lans(const HostFirewall::Snapshot& host, nft::Packet packet) {
  auto chain = blocks(*host.ruleset, packet);
  for (const auto& lan : host.lans) {
    packet.in = lan;
    chain = blocks(*host.ruleset, packet);
    if (!chain) break;
  }
  return chain.value_or("");
}

}  // namespace

std::optional<HostFirewall::Snapshot> HostFirewall::read() {
  if (!nftables_) {
    auto opened = Nftables::open();
    if (!opened) return std::nullopt;
    nftables_.emplace(std::move(*opened));
  }
  const auto ruleset = nftables_->read();
  if (!ruleset) return std::nullopt;
  Snapshot host{.ruleset = *ruleset, .forwards_ipv4 = sysctl_.ipv4_forwarding().value_or(false)};
  if (host.forwards_ipv4 && !host.ruleset->forward.empty()) host.lans = links_with_subnets();
  return host;
}

model::Firewall HostFirewall::look(const Snapshot& host, const model::AnnounceSpec& spec, const std::string& tun_name) {
  model::Firewall firewall;
  if (spec.leg == model::Leg::routed) firewall.drops_clat = drops_clat(*host.ruleset, spec, tun_name);
  if (host.forwards_ipv4) {
    const nft::Packet of_lan{
        .protocol = NFPROTO_IPV4, .out = tun_name, .out_index = spec.tun, .connection_state = nft::kNew};
    firewall.drops_lan = drops_lans(host, of_lan);
  }
  return firewall;
}

}  // namespace clat::system
