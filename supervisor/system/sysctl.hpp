// Kernel parameters below /proc/sys.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"

namespace clat::system {

// The pieces of the path: {"net", "ipv4", "conf", "v4-wan0.1", "rp_filter"}. Interface names may hold dots, so the
// dotted form is for people only. A piece that by_number() gives stands for an interface whatever its name is by now.
using SysctlName = std::vector<std::string>;
std::string by_number(int ifindex);        // ":7", which is the name of none
std::string text(const SysctlName& name);  // "net/ipv4/conf/v4-wan0.1/rp_filter", as sysctl(8) takes it too

class Sysctl {
 public:
  // /proc/sys/net shows the network namespace of the process.
  explicit Sysctl(std::string root = "/proc/sys") : root_(std::move(root)) {}

  // Without the line end; at most 255 bytes.
  [[nodiscard]] Result<std::string> read(const SysctlName& name) const;
  Result<> write(const SysctlName& name, const std::string& value) const;

  // net.ipv6.conf.all.forwarding: the operator's; we only look.
  [[nodiscard]] Result<bool> ipv6_forwarding() const;
  // net.ipv4.ip_forward: a LAN may be served.
  [[nodiscard]] Result<bool> ipv4_forwarding() const;
  // net.ipv4.conf.all.ignore_routes_with_linkdown: if set, IPv4 over a tun stops while nobody holds it.
  [[nodiscard]] Result<bool> ignores_routes_with_linkdown() const;

 private:
  [[nodiscard]] Result<bool> is_set(const SysctlName& name) const;
  [[nodiscard]] Result<std::string> path(const SysctlName& name) const;
  [[nodiscard]] Result<Fd> open(const SysctlName& name, int flags, const std::string& deed) const;
  std::string root_;
};

}  // namespace clat::system
