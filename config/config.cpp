#include "config/config.hpp"

#include <algorithm>

namespace clat::config {

bool is_pattern(std::string_view key) { return key.find_first_of("*?[") != std::string_view::npos; }

std::string tun_name(const std::string& uplink) {
  constexpr std::size_t kRoom = 12;  // of Linux's 15
  return "v4-" + (uplink.size() <= kRoom ? uplink : uplink.substr(uplink.size() - kRoom));
}

const Interface* Config::find(const std::string& uplink) const {
  const auto found = std::ranges::find(interfaces, uplink, &Interface::name);
  return found == interfaces.end() ? nullptr : &*found;
}

}  // namespace clat::config
