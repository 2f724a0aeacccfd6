// The routers of one uplink that did not answer when packets for the NAT64 were to go by them (RFC 4861 §7.3).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "config/config.hpp"
#include "core/net/address.hpp"
#include "supervisor/plan/retry.hpp"

namespace clat::plan {

// Routers that do not answer, by neighbour discovery of the kernel's own.
constexpr config::Restart kAskRouters{
    .initial = std::chrono::seconds(5), .max = std::chrono::minutes(5), .factor = 2, .jitter = 0.1};

struct DeadRouters {
  static constexpr std::size_t kMost = 4;
  std::vector<Ipv6Address> all;       // in the order in which they died
  std::optional<Ipv6Address> untold;  // of these, until it is known what is there instead
  Retry question;                     // when they are asked again, while packets go by another

  [[nodiscard]] bool contains(const std::optional<Ipv6Address>& router) const {
    return router && std::ranges::find(all, *router) != all.end();
  }
};

}  // namespace clat::plan
