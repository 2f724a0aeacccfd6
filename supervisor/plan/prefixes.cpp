#include "supervisor/plan/prefixes.hpp"

#include <algorithm>

namespace clat::plan {

using model::PrefixCandidate;
using model::PrefixSource;

std::optional<Nat64Prefix> Prefixes::hear(const Ipv6Address& router, const std::vector<AdvertisedPrefix>& told,
                                          model::TimePoint now) {
  if (told.empty()) return std::nullopt;
  somebody_spoke_ = true;
  std::erase_if(candidates_, [](const auto& each) { return each.source == PrefixSource::record; });
  std::optional<Nat64Prefix> too_many;
  for (const auto& [prefix, lifetime] : told) {
    const auto known = std::ranges::find_if(
        candidates_, [&](const auto& each) { return each.prefix == prefix && each.router == router; });
    const PrefixCandidate candidate{prefix, PrefixSource::ra, router, now + lifetime, lifetime};
    if (lifetime.count() == 0) {
      if (known != candidates_.end()) candidates_.erase(known);
    } else if (known != candidates_.end()) {
      *known = candidate;
    } else if (candidates_.size() < kMost) {
      candidates_.push_back(candidate);
    } else if (!too_many) {
      too_many = prefix;
    }
  }
  return too_many;
}

void Prefixes::look_up(const std::vector<Nat64Prefix>& told, std::chrono::seconds ttl) {
  somebody_spoke_ = true;
  std::erase_if(candidates_, [](const auto& each) {
    return each.source == PrefixSource::record || each.source == PrefixSource::dns;
  });
  for (const auto& prefix : told) {
    if (candidates_.size() == kMost) break;
    candidates_.push_back({.prefix = prefix, .source = PrefixSource::dns, .lifetime = ttl});
  }
}

bool Prefixes::has_from(PrefixSource source) const {
  return std::ranges::find(candidates_, source, &PrefixCandidate::source) != candidates_.end();
}

void Prefixes::remember(const Nat64Prefix& prefix) {
  if (somebody_spoke_ || !candidates_.empty()) return;
  candidates_.push_back({.prefix = prefix, .source = PrefixSource::record});
}

void Prefixes::forget() {
  candidates_.clear();
  somebody_spoke_ = true;
}

void Prefixes::expire(model::TimePoint now) {
  std::erase_if(candidates_, [&](const auto& each) { return each.expires && *each.expires <= now; });
}

const PrefixCandidate* Prefixes::best(const std::optional<Nat64Prefix>& used, const Fits& fits) const {
  const PrefixCandidate* found = nullptr;
  for (const auto& each : candidates_) {
    if (!fits(each.prefix)) continue;
    const bool better_source = found == nullptr || each.source < found->source;
    const bool kept = found != nullptr && each.source == found->source && each.prefix == used && found->prefix != used;
    if (better_source || kept) found = &each;
  }
  return found;
}

std::optional<model::TimePoint> Prefixes::next_expiry() const {
  std::optional<model::TimePoint> next;
  for (const auto& each : candidates_) {
    if (each.expires && (!next || *each.expires < *next)) next = each.expires;
  }
  return next;
}

}  // namespace clat::plan
