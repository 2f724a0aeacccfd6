// The DNS servers that the routers of an uplink advertise.
#pragma once

#include <cstddef>
#include <vector>

#include "core/net/name_server.hpp"
#include "core/net/router_advertisement.hpp"
#include "supervisor/model/facts.hpp"

namespace clat::plan {

class NameServers {
 public:
  static constexpr std::size_t kMost = kMostAdvertisedNameServers;

  // Returns whether there is one now that was not there. What does not fit any more is not taken.
  bool hear(const std::vector<AdvertisedNameServer>& told, model::TimePoint now);
  // In the order in which they came, as many as are asked.
  [[nodiscard]] std::vector<NameServer> at(model::TimePoint now) const;

 private:
  struct Heard {
    Ipv6Address address;
    model::TimePoint expires;
  };
  std::vector<Heard> heard_;
};

}  // namespace clat::plan
