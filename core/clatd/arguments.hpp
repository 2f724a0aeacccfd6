// The command line of clatd, as a pure function.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"

namespace clat::clatd {

struct Ids {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  bool operator==(const Ids&) const = default;
};

struct Arguments {
  std::string interface;  // of the uplink, for messages only
  Nat64Prefix prefix;
  Ipv4Address v4;
  Ipv6Address v6;
  int tun_fd = -1;
  std::optional<int> control_fd;  // none: no supervisor to answer to
  std::optional<Ids> ids;         // none: keep those it was started with
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
