// Whether an uplink's DNS knows a NAT64 prefix (RFC 7050): what is asked, and what comes of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "core/net/name_server.hpp"
#include "core/net/prefix.hpp"

namespace clat::model {

// The answer, later, is one Nat64Answer.
struct Nat64Question {
  std::string uplink;
  int ifindex = 0;
  Ipv6Address own;                    // of the uplink: where the question comes from
  std::uint32_t mark = 0;             // 0: none
  std::vector<NameServer> servers{};  // in this order; none: those that the host was told of
  bool operator==(const Nat64Question&) const = default;
};

struct Nat64Answer {
  std::string uplink;
  std::vector<Nat64Prefix> prefixes{};  // none and no failure: the DNS says that there is no NAT64
  std::chrono::seconds ttl{};           // how long that may be believed
  std::optional<Error> failure{};       // nothing was learnt
  bool operator==(const Nat64Answer&) const = default;
};

}  // namespace clat::model
