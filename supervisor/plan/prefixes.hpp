// The NAT64 prefixes that an uplink offers, and which of them is used.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "core/net/router_advertisement.hpp"
#include "supervisor/model/facts.hpp"

namespace clat::plan {

class Prefixes {
 public:
  static constexpr std::size_t kMost = 16;

  // Of one router. Returns the first that there is no room for.
  std::optional<Nat64Prefix> hear(const Ipv6Address& router, const std::vector<AdvertisedPrefix>& told,
                                  model::TimePoint now);
  // All that the DNS knows. They stay until it says something else: a server that is silent takes nothing back.
  void look_up(const std::vector<Nat64Prefix>& told, std::chrono::seconds ttl);
  // What was in use before anybody spoke; nothing happens when somebody has.
  void remember(const Nat64Prefix& prefix);
  // What was heard on a link that is gone. Nothing is remembered of it, either.
  void forget();
  void expire(model::TimePoint now);

  using Fits = std::function<bool(const Nat64Prefix&)>;
  // The one to use: that which is used already while the best source still offers it, else the first that came.
  // Routers go before the DNS, and that before what is remembered.
  [[nodiscard]] const model::PrefixCandidate* best(const std::optional<Nat64Prefix>& used, const Fits& fits) const;
  [[nodiscard]] std::optional<model::TimePoint> next_expiry() const;
  [[nodiscard]] bool has_from(model::PrefixSource source) const;
  [[nodiscard]] const std::vector<model::PrefixCandidate>& all() const { return candidates_; }

 private:
  std::vector<model::PrefixCandidate> candidates_;  // in the order in which they came
  bool somebody_spoke_ = false;
};

}  // namespace clat::plan
