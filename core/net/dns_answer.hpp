// What a DNS message (RFC 1035) says of the IPv6 addresses of a name.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/net/address.hpp"

namespace clat {

struct AaaaAnswer {
  std::vector<Ipv6Address> addresses{};  // none: the name does not exist, or has none
  // Until it is asked again: the least of the records that led here; without an address, of RFC 2308 §5, or 0.
  std::chrono::seconds ttl{};
  bool operator==(const AaaaAnswer&) const = default;
};

constexpr std::size_t kMostAaaaAddresses = 16;  // that are taken from one message
constexpr unsigned kMostAliases = 8;            // CNAME records in a row

// `message` answers the question for the AAAA records of `name` ("ipv4only.arpa"). An error: it says nothing about
// that, because it answers something else, was cut off, does not keep to the format, or reports a failure of the
// server's.
Result<AaaaAnswer> parse_aaaa_answer(std::span<const std::uint8_t> message, std::string_view name);

}  // namespace clat
