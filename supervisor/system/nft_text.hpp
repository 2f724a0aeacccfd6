// Rules of nftables as text for `nft -f`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "supervisor/model/specs.hpp"

namespace clat::system {

// One of our tables, of family inet: one for each tun and purpose, by ifindex, so that a tun that somebody renames is
// still meant.
struct RuleTable {
  enum class For : std::uint8_t { clatd, lan };
  For purpose = For::clatd;
  int tun = 0;
  auto operator<=>(const RuleTable&) const = default;
};
// "clatvisor_7", "clatvisor_lan_7".
std::string name(const RuleTable& table);
// None: it is not ours.
std::optional<RuleTable> parse_table_name(std::string_view name);

// What is dropped of what clatd writes, and of it what came as from a host that is reached by another interface: no
// packet is in both.
inline constexpr std::string_view kFilterCounter = "drops";
inline constexpr std::string_view kConnectedCounter = "connected";

// What clatd may write into its tun. One transaction, which makes the table or replaces its rules; what was counted
// stays.
std::string filter_text(const model::FilterSpec& spec);
// What serves a LAN: one transaction, which replaces the table.
std::string lan_text(const model::LanSpec& spec);

// The chains that such a text makes.
std::vector<std::string_view> filter_chains();
std::vector<std::string_view> chains_of(const model::LanSpec& spec);

}  // namespace clat::system
