#include "config/config.hpp"

namespace clat::config {

std::string tun_name(const std::string& uplink) { return "v4-" + uplink; }

}  // namespace clat::config
