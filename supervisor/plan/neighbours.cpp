#include "supervisor/plan/neighbours.hpp"

#include <bit>
#include <utility>

namespace clat::plan {

namespace {

// A neighbour that answers every probe shall not move the CLAT all day.
constexpr config::Restart kMove{
    .initial = std::chrono::seconds(10), .max = std::chrono::minutes(10), .factor = 3, .jitter = 0.1};

Nonce make_nonce(Random& random) {
  const auto bytes = std::bit_cast<std::array<std::uint8_t, 8>>(random.next());
  Nonce nonce{};
  std::copy_n(bytes.begin(), nonce.size(), nonce.begin());
  return nonce;
}

}  // namespace

void end_silence(Presence& presence, TimePoint now) {
  if (presence.phase != Presence::Phase::asked || presence.contested || *presence.ours_at > now) return;
  presence.phase = Presence::Phase::ours;
  presence.ours_at.reset();
  presence.advertise(now);
}

// Neighbours that have an older link-layer address for it are told at once, but not before it is known to be ours.
void meet_neighbours(World& world, Clat& clat, TimePoint now) {
  auto& presence = clat.presence;
  const auto& announce = clat.piece(Part::announce);
  const auto& uplink = clat.outlook.uplink;
  // The kernel forgets its neighbours, too.
  if (!uplink || !uplink->carrier) clat.dead_routers = {};
  const bool answers = announce.stands() && uplink && uplink->carrier && uplink->layer == LinkLayer::ethernet;
  const bool answered = std::exchange(presence.answers, answers);
  if (!answers) {
    // Whoever answers the probe is not heard.
    if (presence.phase == Presence::Phase::asked) presence.test();
    presence.advertise_at.reset();
    return;
  }
  const Presence::Place place{std::get<AnnounceSpec>(*announce.have).v6, uplink->ifindex};
  const auto before = std::exchange(presence.place, place);
  const bool new_mac = std::exchange(presence.mac, uplink->mac) != uplink->mac;
  if (before && before->v6 == place.v6 && before->ifindex != place.ifindex) presence.test();
  if (presence.phase == Presence::Phase::untested && !presence.nonce) presence.nonce = make_nonce(world.random);
  if (presence.phase == Presence::Phase::ours && (before != place || new_mac || !answered)) presence.advertise(now);
}

bool has_to_yield(const config::Interface& wanted, const Presence& presence, TimePoint now) {
  return presence.contested && !wanted.ipv6_address && presence.move.at.value_or(now) <= now;
}

void yield(World& world, Clat& clat, const Ipv6Address& before, TimePoint now) {
  auto& presence = clat.presence;
  presence.yielded = before;
  presence.move.fail(presence.move.backoff.fail(kMove, world.random), now, {});
}

}  // namespace clat::plan
