// Rules of nftables as text for `nft -f`. Pure.
#pragma once

#include <string>
#include <string_view>

#include "supervisor/model/specs.hpp"

namespace clat::system {

// A table of family inet for each tun, by ifindex: a tun that somebody renames stays confined.
inline constexpr std::string_view kFilterTable = "clatvisor_";
inline constexpr std::string_view kFilterChain = "clatd";
// What is dropped, and of it what came as from a host that is reached by another interface: no packet is in both.
inline constexpr std::string_view kFilterCounter = "drops";
inline constexpr std::string_view kConnectedCounter = "connected";

// What clatd may write into its tun. One transaction, which makes the table or replaces its rules; what was counted
// stays.
std::string filter_text(const model::FilterSpec& spec);

}  // namespace clat::system
