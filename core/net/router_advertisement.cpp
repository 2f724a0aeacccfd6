#include "core/net/router_advertisement.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "core/net/ipv6_prefix.hpp"
#include "core/net/mtu.hpp"
#include "core/net/name_server.hpp"
#include "core/net/nd_packet.hpp"

namespace clat {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kAdvertisement = 16;  // before its options
constexpr std::uint8_t kRouterSolicitation = 133;
constexpr std::uint8_t kRouterAdvertisement = 134;
constexpr std::uint8_t kPref64 = 38;
constexpr std::size_t kPref64Size = 16;
constexpr std::uint8_t kMtu = 5;
constexpr std::size_t kMtuSize = 8;
constexpr std::uint8_t kRdnss = 25;
constexpr std::size_t kRdnssHeader = 8;  // before the addresses

std::uint16_t word(Bytes bytes, std::size_t at) { return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]); }

std::uint32_t double_word(Bytes bytes, std::size_t at) {
  return static_cast<std::uint32_t>(word(bytes, at)) << 16 | word(bytes, at + 2);
}

// RFC 8781 §4: a scaled lifetime of 13 bits, a code for the length in 3 (the longest first), the first 96 bits of the
// prefix.
std::optional<AdvertisedPrefix> pref64(Bytes option) {
  const auto field = word(option, 2);
  const std::size_t code = field & 7;
  if (option.size() != kPref64Size || code >= kNat64PrefixLengths.size()) return std::nullopt;
  const unsigned length = *(kNat64PrefixLengths.rbegin() + static_cast<std::ptrdiff_t>(code));
  Ipv6Prefix bits{{}, length};
  std::ranges::copy(option.subspan(4), bits.address.bytes.begin());
  const auto prefix = Nat64Prefix::make(bits.masked().address, length);
  if (!prefix) return std::nullopt;
  return AdvertisedPrefix{*prefix, std::chrono::seconds(field & ~7U)};
}

// What is said twice, counts as it is said last.
template <typename Told, typename Key>
void take(std::vector<Told>& into, Key Told::* key, std::size_t most, const Told& found, std::size_t& ignored) {
  const auto known = std::ranges::find(into, found.*key, key);
  if (known != into.end())
    *known = found;
  else if (into.size() < most)
    into.push_back(found);
  else
    ++ignored;
}

void take_prefix(RouterAdvertisement& into, Bytes option) {
  if (const auto found = pref64(option))
    take(into.prefixes, &AdvertisedPrefix::prefix, kMostAdvertisedPrefixes, *found, into.ignored);
  else
    ++into.ignored;
}

// Over the uplink: a router has no say about the resolvers of this host itself.
bool can_be_asked(const Ipv6Address& address) {
  return !address.is_unspecified() && !address.is_multicast() && !address.is_ipv4_mapped() &&
         !NameServer{address}.is_loopback();
}

// RFC 8106 §5.1: at least one address, and nothing behind the last.
void take_name_servers(RouterAdvertisement& into, Bytes option) {
  constexpr std::size_t kAddress = sizeof(Ipv6Address::bytes);
  if (option.size() < kRdnssHeader + kAddress || (option.size() - kRdnssHeader) % kAddress != 0) {
    ++into.ignored;
    return;
  }
  const std::chrono::seconds lifetime(double_word(option, 4));
  for (auto rest = option.subspan(kRdnssHeader); !rest.empty(); rest = rest.subspan(kAddress)) {
    Ipv6Address address;
    std::ranges::copy(rest.first(kAddress), address.bytes.begin());
    if (can_be_asked(address))
      take(into.name_servers, &AdvertisedNameServer::address, kMostAdvertisedNameServers, {address, lifetime},
           into.ignored);
    else
      ++into.ignored;
  }
}

// RFC 4861 §4.6.4; what no IPv6 link can have (RFC 8200 §5) is no MTU.
void take_mtu(RouterAdvertisement& into, Bytes option) {
  if (option.size() != kMtuSize) return;
  if (const auto mtu = double_word(option, 4); mtu >= kIpv6MinimumMtu) into.mtu = mtu;
}

}  // namespace

Result<RouterAdvertisement> parse_router_advertisement(Bytes packet) {
  const auto opened = open_nd_packet(packet, kAdvertisement);
  if (!opened) return std::unexpected(opened.error());
  const auto& message = opened->message;
  if (message[0] != kRouterAdvertisement || message[1] != 0) return failure("it is no router advertisement");
  RouterAdvertisement result{.router = opened->source};
  if (!result.router.is_link_local()) return failure("its source is not link-local");
  const auto read = each_nd_option(message.subspan(kAdvertisement), [&](Bytes option) {
    switch (option[0]) {
      case kMtu: return take_mtu(result, option);
      case kRdnss: return take_name_servers(result, option);
      case kPref64: return take_prefix(result, option);
      default: return;
    }
  });
  if (!read) return std::unexpected(read.error());
  return result;
}

std::vector<std::uint8_t> router_solicitation() {
  constexpr std::array<std::uint8_t, 8> kMessage{kRouterSolicitation};
  return make_nd_packet({}, kAllRouters, kMessage);
}

}  // namespace clat
