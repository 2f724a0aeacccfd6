#include "supervisor/plan/name_servers.hpp"

#include <algorithm>

namespace clat::plan {

bool NameServers::hear(const std::vector<AdvertisedNameServer>& told, model::TimePoint now) {
  std::erase_if(heard_, [&](const Heard& each) { return each.expires <= now; });
  bool news = false;
  for (const auto& [address, lifetime] : told) {
    const auto known = std::ranges::find(heard_, address, &Heard::address);
    if (lifetime.count() == 0) {
      if (known != heard_.end()) heard_.erase(known);
    } else if (known != heard_.end()) {
      known->expires = now + lifetime;
    } else if (heard_.size() < kMost) {
      heard_.push_back({address, now + lifetime});
      news = true;
    }
  }
  return news;
}

std::vector<NameServer> NameServers::at(model::TimePoint now) const {
  std::vector<NameServer> servers;
  for (const auto& each : heard_) {
    if (each.expires > now && servers.size() < kMostNameServers) servers.push_back({each.address});
  }
  return servers;
}

}  // namespace clat::plan
