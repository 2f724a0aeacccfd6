// The command line of clatd, as a pure function.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"

namespace clat::clatd {

struct Ids {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  bool operator==(const Ids&) const = default;
};

constexpr std::uint32_t kDefaultIcmpRate = 100;

enum class Dialect : std::uint8_t {
  native,     // everything by one tun, with vnet headers
  aosp,       // Android since 2021-12: IPv4 by the tun, IPv6 by a packet and a raw socket that are handed over
  aosp_2019,  // Android before: opens those two sockets itself and configures the tun
};

struct Arguments {
  Dialect dialect = Dialect::native;
  std::string interface;  // of the uplink
  Nat64Prefix prefix;
  Ipv4Address v4;
  Ipv6Address v6;
  std::vector<int> tun_fds;                      // one for each queue, at least one
  std::optional<int> control_fd;                 // none: no supervisor to answer to
  std::optional<int> packet_fd;                  // Dialect::aosp: IPv6 comes in here
  std::optional<int> raw_fd;                     // and goes out here
  std::uint32_t network_id = 0;                  // Android's; nothing depends on it
  std::uint32_t mark = 0;                        // Dialect::aosp_2019: fwmark of the IPv6 packets sent
  std::optional<Ids> ids;                        // none: keep those it was started with
  std::optional<std::uint32_t> mtu;              // IPv6 MTU, bytes
  std::optional<std::uint32_t> lowest_ipv6_mtu;  // RFC 7915 §4.1; none: the MTU
  std::uint32_t icmp_rate = kDefaultIcmpRate;    // own ICMP errors a second; burst of as many
  std::vector<RangeMapping> ranges;
  bool allow_private_ipv4 = false;
  bool operator==(const Arguments&) const = default;
};

struct HelpWanted {
  bool operator==(const HelpWanted&) const = default;
};
struct VersionWanted {
  bool operator==(const VersionWanted&) const = default;
};
using CommandLine = std::variant<Arguments, HelpWanted, VersionWanted>;

// `words` without argv[0]. The error is one line, without a newline.
std::expected<CommandLine, std::string> parse(std::span<const char* const> words);

std::string_view help_text();

}  // namespace clat::clatd
