#include "supervisor/plan/probing.hpp"

#include "supervisor/model/events.hpp"

namespace clat::plan {

void Probing::aim(const config::Probe& at, const Nat64Prefix& through) {
  if (wish && (wish->address != at.address || prefix != through)) *this = {};
  if (wish != at) next_at.reset();
  wish = at;
  prefix = through;
}

void Probing::go_on(Random& random) {
  if (echo) return;
  const auto number = random.next();
  echo = EchoId{static_cast<std::uint16_t>(number), static_cast<std::uint16_t>(number >> 16), random.next()};
}

void Probing::pause() {
  echo.reset();
  under_way = false;
  next_at.reset();
  if (!is_silent()) failures = 0;
}

void Probing::begin(TimePoint now) {
  under_way = true;
  next_at = now + wish->interval;
}

void Probing::end(std::uint64_t nonce, const Result<>& result) {
  if (!under_way || !echo || echo->nonce != nonce) return;
  under_way = false;
  echo.reset();
  if (result)
    failures = 0;
  else if (!is_silent() && !model::says_nothing(result.error()))
    ++failures;
}

}  // namespace clat::plan
