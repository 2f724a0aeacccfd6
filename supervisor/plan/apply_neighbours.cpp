#include <algorithm>

#include "supervisor/plan/applier.hpp"

namespace clat::plan {

// Our own words may come back, from a loop in the network by our own MAC address, or through a repeater that has put
// its own in place. A probe for what is ours already is answered, and whoever probes gives way (RFC 4862 §5.4).
void Applier::operator()(const AddressContested& event) {
  constexpr std::chrono::minutes kPeace{10};
  const auto found = world_.clats.find(event.uplink);
  const auto* wanted = world_.wanted(event.uplink);
  const auto* link = world_.link(event.uplink);
  if (found == world_.clats.end() || wanted == nullptr || link == nullptr) return;
  auto& clat = found->second;
  auto& presence = clat.presence;
  if (!clat.addresses || clat.addresses->v6 != event.said.target || presence.contested) return;
  const auto mac = event.said.mac.value_or(event.sender);
  if (mac == link->mac || event.sender == link->mac) return;
  const bool probe = event.said.kind == NeighbourMessage::Kind::probe;
  const bool our_own = event.said.nonce && event.said.nonce == presence.nonce;
  if (probe && (our_own || presence.phase == Presence::Phase::ours)) return;

  presence.contested = true;
  const bool kept = wanted->ipv6_address.has_value();
  if (kept && presence.phase != Presence::Phase::ours) presence.phase = Presence::Phase::disputed;
  auto& move = presence.move;
  if (move.at && now_ > *move.at + kPeace) move.succeed();
  const auto retry_in = move.at && !kept ? std::max(whole(*move.at - now_), milliseconds(0)) : milliseconds(0);
  tell(event.uplink, notice::AddressConflict{event.said.target, mac, probe, kept, retry_in});
}

void Applier::operator()(const NextHopSeen& event) {
  const auto found = world_.clats.find(event.uplink);
  if (found == world_.clats.end()) return;
  auto& clat = found->second;
  auto& dead = clat.dead_routers;
  const bool known = dead.contains(event.router);
  if (known != event.answers) return;
  if (event.answers) {
    std::erase(dead.all, event.router);
    if (dead.all.empty()) dead.question.succeed();
    tell(event.uplink, notice::NextHopRestored{event.router});
  } else {
    if (!clat.route || clat.route->next_hop != event.router) return;
    if (dead.all.size() == DeadRouters::kMost) dead.all.erase(dead.all.begin());
    dead.all.push_back(event.router);
    dead.untold = event.router;
    dead.question.fail(dead.question.backoff.fail(kAskRouters, world_.random), now_, {});
  }
  clat.ask_route = true;
}

void Applier::operator()(const NeighboursFlood& event) { tell(event.uplink, notice::NeighbourFlood{}); }

}  // namespace clat::plan
