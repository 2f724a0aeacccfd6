// What a CLAT has to do with its neighbours: duplicate address detection, and telling them where it is.
#pragma once

#include "supervisor/plan/world.hpp"

namespace clat::plan {

// Nobody else has answered the probe: the address is ours.
void end_silence(Presence& presence, TimePoint now);

// After the outlook was judged: whether neighbours have to be asked, or told.
void meet_neighbours(World& world, Clat& clat, TimePoint now);

// A neighbour has the address, and another may be taken now.
bool has_to_yield(const config::Interface& wanted, const Presence& presence, TimePoint now);
// Another is taken.
void yield(World& world, Clat& clat, const Ipv6Address& before, TimePoint now);

}  // namespace clat::plan
