// The CLAT's IPv6 address on the uplink, as the neighbours there are to know it: whether it is ours, and where it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/net/address.hpp"
#include "core/net/neighbour_message.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/plan/retry.hpp"

namespace clat::plan {

// RFC 4861 §10.
constexpr std::chrono::seconds kRetransTimer{1};
constexpr unsigned kMostUnsolicited = 3;  // MAX_NEIGHBOR_ADVERTISEMENT

struct Presence {
  // Optimistic duplicate address detection (RFC 4429): the address is in use from the start.
  // untested: nobody was asked for it. asked: a probe is out, and nobody has said a word. ours: nobody did in time.
  // disputed: somebody did, and it is kept all the same, as the config names it.
  enum class Phase : std::uint8_t { untested, asked, ours, disputed };
  Phase phase = Phase::untested;
  std::optional<Nonce> nonce;               // of the probe
  std::optional<model::TimePoint> ours_at;  // while it is asked for
  bool contested = false;                   // a neighbour has it, which was told
  std::optional<Ipv6Address> yielded;       // the one before, which a neighbour had; until the CLAT is up again
  Retry move;                               // not before `at` is another one taken for that

  struct Place {
    Ipv6Address v6;
    int ifindex = 0;
    bool operator==(const Place&) const = default;
  };
  std::optional<Place> place;  // where neighbours can ask for it, or could last
  MacAddress mac;              // of the uplink there
  bool answers = false;        // now
  // When it is advertised next without being asked; none: all know it that want to.
  std::optional<model::TimePoint> advertise_at;
  unsigned advertisements = 0;  // that are left

  // Another address takes the place.
  void begin() {
    test();
    contested = false;
  }
  void test() {
    phase = Phase::untested;
    nonce.reset();
    ours_at.reset();
    advertise_at.reset();
  }
  void advertise(model::TimePoint at) {
    advertise_at = at;
    advertisements = kMostUnsolicited;
  }
};

}  // namespace clat::plan
