// The IPv4 addresses that the CLATs of this host draw from.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "core/net/ipv4_prefix.hpp"

namespace clat {

class Ipv4Pool {
 public:
  static Result<Ipv4Pool> parse(std::string_view text);  // "192.0.0.0/29", lengths 8 to 32, no host bits
  // 192.0.0.0/29, the service continuity prefix (RFC 7335).
  static Ipv4Pool service_continuity();

  bool operator==(const Ipv4Pool&) const = default;
  [[nodiscard]] std::string text() const { return prefix_.text(); }
  [[nodiscard]] const Ipv4Prefix& prefix() const { return prefix_; }
  [[nodiscard]] bool contains(const Ipv4Address& address) const { return prefix_.contains(address); }

  // The first address that `is_free` takes. 192.0.0.0/29 is walked as Android does, .4 .5 .6 .7 .0 .1 .2 .3; other
  // pools ascend without their network and broadcast addresses (a /31 or /32 has neither).
  [[nodiscard]] std::optional<Ipv4Address> first_free(const std::function<bool(const Ipv4Address&)>& is_free) const;

 private:
  explicit Ipv4Pool(const Ipv4Prefix& prefix) : prefix_(prefix) {}
  Ipv4Prefix prefix_;
};

}  // namespace clat
