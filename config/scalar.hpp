// The text of one scalar as a value. Errors quote the text and say what is expected; the caller names the key.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "config/suggest.hpp"
#include "config/text.hpp"
#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "core/net/ipv6_prefix.hpp"
#include "core/net/name_server.hpp"
#include "core/net/pool.hpp"
#include "core/net/prefix.hpp"

namespace clat::config {

using std::chrono::milliseconds;

// Decimal digits alone. `instead` names words that the caller takes besides, like "auto".
Result<std::uint32_t> whole_number(std::string_view text, std::uint32_t min, std::uint32_t max,
                                   std::string_view instead = {});
// 32 bits, decimal or 0x and hexadecimal.
Result<std::uint32_t> hex_or_decimal(std::string_view text);
// Digits with or without a fraction: "2", "0.25".
Result<double> decimal(std::string_view text, double min, double max);
// A whole number and one of ms, s, m, h.
Result<milliseconds> duration(std::string_view text, milliseconds min, milliseconds max);
std::string text_of(milliseconds duration);  // in the largest unit that needs no fraction: "90s", "2h"
// "100/s".
Result<std::uint32_t> rate_per_second(std::string_view text, std::uint32_t max);
// Without control characters: a NUL would end it early for the kernel and libc, others upset a terminal or a log.
Result<std::string> plain_text(std::string_view text);
Result<std::string> absolute_path(std::string_view text);

// An address that a CLAT can have on its tun.
Result<Ipv4Address> clat_ipv4_address(std::string_view text);
// An IPv4 address that a host can have.
Result<Ipv4Address> ipv4_host(std::string_view text);
// An address that a CLAT can have on its uplink.
Result<Ipv6Address> clat_ipv6_address(std::string_view text);
Result<Nat64Prefix> nat64_prefix(std::string_view text);
// A DNS server that can be asked over an uplink.
Result<NameServer> name_server(std::string_view text);
// Routed to this host, with room for the CLAT's own address.
Result<Ipv6Prefix> ipv6_source(std::string_view text);
// Of hosts that are mapped one to one.
Result<Ipv4Prefix> ipv4_source(std::string_view text);
Result<Ipv4Pool> ipv4_pool(std::string_view text);

// What Linux takes as the name of a device, but for those that no uplink can have.
Result<std::string> interface_name(std::string_view text);
// The same, or an altname, which may be longer.
Result<std::string> interface_name_or_altname(std::string_view text);

// "a, b or c".
template <std::size_t N>
std::string any_of(const std::array<std::string_view, N>& words) {
  std::string out(words[0]);
  for (std::size_t i = 1; i < N; ++i) out.append(i + 1 == N ? " or " : ", ").append(words[i]);
  return out;
}

template <class T, std::size_t N>
Result<T> choice(std::string_view text, const std::array<std::pair<std::string_view, T>, N>& choices) {
  std::array<std::string_view, N> words;
  for (std::size_t i = 0; i < N; ++i) {
    if (choices[i].first == text) return choices[i].second;
    words[i] = choices[i].first;
  }
  return failure(in_quotes(text) + " is not " + any_of(words) + suggestion(text, words));
}

}  // namespace clat::config
