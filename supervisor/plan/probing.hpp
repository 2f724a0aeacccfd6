// Whether the NAT64 answers: where the config wishes that, an address behind it is pinged through the CLAT.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "config/config.hpp"
#include "core/base/error.hpp"
#include "core/net/echo.hpp"
#include "core/net/prefix.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/plan/backoff.hpp"

namespace clat::plan {

using model::TimePoint;

// So many pings in a row without an answer, and IPv4 goes by another uplink.
constexpr unsigned kFailedPings = 3;
// An answer that takes longer is none.
constexpr std::chrono::milliseconds kPingPatience{3000};

struct Probing {
  std::optional<config::Probe> wish;  // none: nobody is pinged
  std::optional<Nat64Prefix> prefix;  // of the NAT64
  std::optional<EchoId> echo;         // of the next ping, or of that under way; none: the CLAT does not stand
  bool under_way = false;
  std::optional<TimePoint> next_at;  // none: at once
  unsigned failures = 0;             // in a row

  [[nodiscard]] bool is_silent() const { return failures >= kFailedPings; }

  // What is known of another NAT64 or another address is forgotten. One that was silent stays so until it answers.
  void aim(const config::Probe& at, const Nat64Prefix& through);
  // The CLAT stands, so that pings get through, or it does not.
  void go_on(Random& random);
  void pause();
  void begin(TimePoint now);
  // What comes of a ping that nobody waits for any more is not heard, nor what says nothing of the NAT64.
  void end(std::uint64_t nonce, const Result<>& result);
};

}  // namespace clat::plan
