#include "core/net/name_server.hpp"

#include <algorithm>
#include <optional>

namespace clat {

namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kSection = "# Interface ";

std::string_view take_line(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.size(), line.find_first_not_of(kBlanks)));
  const auto word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

// Name and nothing behind it.
std::optional<std::string_view> section_of(std::string_view line) {
  if (!line.starts_with(kSection)) return std::nullopt;
  line.remove_prefix(kSection.size());
  return take_word(line);
}

// The lines of the part named `device`; all, where there is no such part.
std::string_view part_of(std::string_view text, std::string_view device) {
  for (auto rest = text; !rest.empty();) {
    if (section_of(take_line(rest)) != device) continue;
    const auto part = rest;
    while (!rest.empty()) {
      const auto before = rest;
      if (section_of(take_line(rest))) return part.substr(0, part.size() - before.size());
    }
    return part;
  }
  return text;
}

std::optional<NameServer> server_of(std::string_view text, std::string_view device) {
  if (const auto v4 = Ipv4Address::parse(text)) {
    NameServer server{Ipv6Address{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}};
    std::ranges::copy(v4->bytes, server.address.bytes.begin() + 12);
    return server.is_loopback() ? std::optional(server) : std::nullopt;
  }
  const auto percent = text.find('%');
  const auto address = Ipv6Address::parse(text.substr(0, percent));
  if (!address || address->is_unspecified() || address->is_multicast()) return std::nullopt;
  if (percent != std::string_view::npos && text.substr(percent + 1) != device) return std::nullopt;
  const NameServer server{*address};
  return address->is_ipv4_mapped() && !server.is_loopback() ? std::nullopt : std::optional(server);
}

}  // namespace

bool NameServer::is_loopback() const {
  constexpr Ipv6Address kLoopback{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  return address == kLoopback || (address.is_ipv4_mapped() && address.bytes[12] == 127);
}

std::vector<NameServer> parse_name_servers(std::string_view resolv_conf, std::string_view device) {
  std::vector<NameServer> servers;
  std::vector<NameServer> of_this_host;
  for (auto rest = part_of(resolv_conf, device); !rest.empty();) {
    auto line = take_line(rest);
    if (take_word(line) != "nameserver") continue;
    const auto server = server_of(take_word(line), device);
    if (!server) continue;
    auto& into = server->is_loopback() ? of_this_host : servers;
    if (std::ranges::find(into, *server) == into.end()) into.push_back(*server);
  }
  servers.insert(servers.end(), of_this_host.begin(), of_this_host.end());
  if (servers.size() > kMostNameServers) servers.resize(kMostNameServers);
  return servers;
}

}  // namespace clat
