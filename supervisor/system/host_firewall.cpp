#include "supervisor/system/host_firewall.hpp"

#include <linux/netfilter.h>
#include <net/if.h>

#include <array>
#include <string>

namespace clat::system {

namespace {

std::string name_of(int ifindex) {
  std::array<char, IF_NAMESIZE> name{};
  return ::if_indextoname(static_cast<unsigned>(ifindex), name.data()) == nullptr ? "" : name.data();
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
  auto chain = nft::dropped_by(ruleset, sent);
  if (!chain) chain = nft::dropped_by(ruleset, received);
  return chain.value_or("");
}

}  // namespace

std::optional<model::Firewall> HostFirewall::look(const model::AnnounceSpec& spec) {
  if (!nftables_) {
    auto opened = Nftables::open();
    if (!opened) return std::nullopt;
    nftables_.emplace(std::move(*opened));
  }
  const auto ruleset = nftables_->read();
  if (!ruleset) return std::nullopt;
  const auto tun = name_of(spec.tun);
  model::Firewall firewall;
  if (spec.leg == model::Leg::routed) firewall.drops_clat = drops_clat(**ruleset, spec, tun);
  if (const auto forwards = sysctl_.ipv4_forwarding(); forwards && *forwards) {
    const nft::Packet of_lan{
        .protocol = NFPROTO_IPV4, .out = tun, .out_index = spec.tun, .connection_state = nft::kNew};
    firewall.drops_lan = nft::dropped_by(**ruleset, of_lan).value_or("");
  }
  return firewall;
}

}  // namespace clat::system
