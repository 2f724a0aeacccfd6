// What setup asks of the tun below /proc/sys. Those of IPv6 are not there while its MTU is below 1280.
#pragma once

#include "supervisor/system/sysctl.hpp"

namespace clat::system {

// Loose: the uplink for the CLAT's flows is another device than the one that the best route names.
constexpr const char* kLooseRpFilter = "2";
inline SysctlName rp_filter(const std::string& tun) { return {"net", "ipv4", "conf", tun, "rp_filter"}; }

// net.ipv6.conf.default.disable_ipv6 may be 1; the routed leg has a route by the tun.
constexpr const char* kIpv6Enabled = "0";
inline SysctlName disable_ipv6(const std::string& tun) { return {"net", "ipv6", "conf", tun, "disable_ipv6"}; }

// Set by netlink. IN6_ADDR_GEN_MODE_NONE: no link-local address, no Router Solicitations.
constexpr const char* kNoAddresses = "1";
inline SysctlName addr_gen_mode(const std::string& tun) { return {"net", "ipv6", "conf", tun, "addr_gen_mode"}; }

}  // namespace clat::system
