#include "bpf/entries.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ranges>

#include "core/net/mtu.hpp"

namespace clat::bpf {

namespace {

std::uint32_t word_be32(std::span<const std::uint8_t> bytes, std::size_t index) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + 4 * index, sizeof(word));
  return word;
}

std::uint32_t mask_be32(int bits) { return bits <= 0 ? 0 : htonl(0xffffffffU << (32 - std::min(bits, 32))); }

clat_prefix prefix_value(const Nat64Prefix& prefix) {
  clat_prefix value{};
  value.length = prefix.length();
  for (int word = 0; word < 3; ++word) {
    value.address_be32[word] = word_be32(prefix.address().bytes, static_cast<std::size_t>(word));
    value.mask_be32[word] = mask_be32(static_cast<int>(prefix.length()) - 32 * word);
  }
  return value;
}

constexpr std::array<const char*, CLAT_DIRECTIONS> kDirections{"to_ipv4", "to_ipv6"};
constexpr std::array<const char*, CLAT_PROTOCOLS> kProtocols{"tcp", "udp", "icmp", "other"};
constexpr std::array<const char*, CLAT_PUNTS> kPunts{"icmp",      "protocol",      "fragment", "headers",
                                                     "hop_limit", "checksum_zero", "too_big",  "to_fragment",
                                                     "address",   "malformed",     "kernel"};
constexpr std::array<const char*, CLAT_DROPS> kDrops{"source", "destination", "too_big", "other",
                                                     "kernel", "headers",     "outside", "connected"};
static_assert(kPunts.back() != nullptr && kDrops.back() != nullptr);

// What both ends of a CLAT have in common.
clat_interface common_entry(const Attachment& a, bool shortcut) {
  clat_interface entry{};
  entry.uplink_ifindex = static_cast<std::uint32_t>(a.uplink_ifindex);
  entry.v4_be32 = word_be32(a.v4.bytes, 0);
  for (std::size_t i = 0; i < 4; ++i) entry.v6_be32[i] = word_be32(a.v6.bytes, i);
  entry.prefix = prefix_value(a.prefix);
  entry.uplink_mtu = std::max(a.uplink_mtu, kIpv6MinimumMtu);
  entry.largest_ipv6 = std::min(entry.uplink_mtu, kLargestClatMtu);
  entry.ipv4_mtu = a.ipv4_mtu;
  entry.lowest_ipv6_mtu = std::clamp(a.lowest_ipv6_mtu, kIpv6MinimumMtu, entry.uplink_mtu);
  entry.mark = a.mark;
  if (a.next_hop) {
    entry.flags |= CLAT_FLAG_NEXT_HOP;
    for (std::size_t i = 0; i < 4; ++i) entry.next_hop_be32[i] = word_be32(a.next_hop->bytes, i);
  }
  std::ranges::copy(a.mac.bytes, entry.mac);
  if (a.layer == LinkLayer::raw_ip) entry.flags |= CLAT_FLAG_RAW_IP;
  if (a.allow_private_ipv4 || !a.prefix.is_well_known()) entry.flags |= CLAT_FLAG_ALLOW_PRIVATE_IPV4;
  if (a.packet_socket) entry.flags |= CLAT_FLAG_PACKET_SOCKET;
  if (shortcut) entry.flags |= CLAT_FLAG_SHORTCUT;
  for (const auto& range : a.ranges | std::views::take(CLAT_MAX_RANGES)) {
    entry.ranges[entry.range_count++] = {word_be32(range.v4.address.bytes, 0),
                                         mask_be32(static_cast<int>(range.v4.length)), prefix_value(range.v6)};
  }
  return entry;
}

}  // namespace

clat_interface uplink_entry(const Attachment& a) {
  auto entry = common_entry(a, a.shortcut_in);
  entry.peer_ifindex = static_cast<std::uint32_t>(a.tun_ifindex);
  return entry;
}

clat_interface tun_entry(const Filter& filter) {
  auto entry = common_entry(filter.by, filter.by.shortcut_out);
  entry.peer_ifindex = static_cast<std::uint32_t>(filter.by.uplink_ifindex);
  if (filter.routed) entry.flags |= CLAT_FLAG_ROUTED;
  return entry;
}

Counters named_counters(std::span<const clat_counters> per_cpu) {
  Counters counters;
  const auto add = [&](std::string name, auto value) {
    std::uint64_t sum = 0;
    for (const auto& cpu : per_cpu) sum += value(cpu);
    counters.emplace_back(std::move(name), sum);
  };
  for (std::size_t d = 0; d < CLAT_DIRECTIONS; ++d) {
    for (std::size_t p = 0; p < CLAT_PROTOCOLS; ++p) {
      const auto name = std::string("fast_") + kDirections[d] + "_" + kProtocols[p];
      add(name + "_packets", [&](const auto& cpu) { return cpu.fast[d][p].packets; });
      add(name + "_bytes", [&](const auto& cpu) { return cpu.fast[d][p].bytes; });
    }
  }
  add("from_clatd_packets", [](const auto& cpu) { return cpu.from_clatd.packets; });
  add("from_clatd_bytes", [](const auto& cpu) { return cpu.from_clatd.bytes; });
  for (std::size_t d = 0; d < CLAT_DIRECTIONS; ++d) {
    const auto name = std::string("shortcut_") + kDirections[d];
    add(name + "_packets", [&](const auto& cpu) { return cpu.shortcut[d].packets; });
    add(name + "_bytes", [&](const auto& cpu) { return cpu.shortcut[d].bytes; });
  }
  for (std::size_t d = 0; d < CLAT_DIRECTIONS; ++d) {
    for (std::size_t r = 0; r < CLAT_PUNTS; ++r) {
      add(std::string("punt_") + kDirections[d] + "_" + kPunts[r], [&](const auto& cpu) { return cpu.punts[d][r]; });
    }
  }
  for (std::size_t r = 0; r < CLAT_DROPS; ++r) {
    add(std::string("drop_") + kDrops[r], [&](const auto& cpu) { return cpu.drops[r]; });
  }
  add("solicitations_answered", [](const auto& cpu) { return cpu.solicitations_answered; });
  return counters;
}

}  // namespace clat::bpf
