#include "supervisor/system/host_firewall.hpp"

#include <linux/netfilter.h>

#include <string>

namespace clat::system {

namespace {

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

std::optional<HostFirewall::Snapshot> HostFirewall::read() {
  if (!nftables_) {
    auto opened = Nftables::open();
    if (!opened) return std::nullopt;
    nftables_.emplace(std::move(*opened));
  }
  const auto ruleset = nftables_->read();
  if (!ruleset) return std::nullopt;
  return Snapshot{.ruleset = *ruleset, .forwards_ipv4 = sysctl_.ipv4_forwarding().value_or(false)};
}

model::Firewall HostFirewall::look(const Snapshot& host, const model::AnnounceSpec& spec, const std::string& tun_name) {
  model::Firewall firewall;
  if (spec.leg == model::Leg::routed) firewall.drops_clat = drops_clat(*host.ruleset, spec, tun_name);
  if (host.forwards_ipv4) {
    const nft::Packet of_lan{
        .protocol = NFPROTO_IPV4, .out = tun_name, .out_index = spec.tun, .connection_state = nft::kNew};
    firewall.drops_lan = nft::dropped_by(*host.ruleset, of_lan).value_or("");
  }
  return firewall;
}

}  // namespace clat::system
