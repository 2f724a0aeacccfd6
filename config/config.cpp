#include "config/config.hpp"

#include <algorithm>

namespace clat::config {

std::string tun_name(const std::string& uplink) { return "v4-" + uplink; }

const Interface* Config::find(const std::string& uplink) const {
  const auto found = std::ranges::find(interfaces, uplink, &Interface::name);
  return found == interfaces.end() ? nullptr : &*found;
}

}  // namespace clat::config
