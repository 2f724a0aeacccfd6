#include "core/net/router_advertisement.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "core/net/ipv6_prefix.hpp"
#include "core/net/nd_packet.hpp"

namespace clat {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kAdvertisement = 16;  // before its options
constexpr std::uint8_t kRouterSolicitation = 133;
constexpr std::uint8_t kRouterAdvertisement = 134;
constexpr std::uint8_t kPref64 = 38;
constexpr std::size_t kPref64Size = 16;

std::uint16_t word(Bytes bytes, std::size_t at) { return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]); }

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

void take(RouterAdvertisement& into, std::optional<AdvertisedPrefix> found) {
  const auto known =
      found ? std::ranges::find(into.prefixes, found->prefix, &AdvertisedPrefix::prefix) : into.prefixes.end();
  if (!found || (known == into.prefixes.end() && into.prefixes.size() == kMostAdvertisedPrefixes))
    ++into.ignored;
  else if (known == into.prefixes.end())
    into.prefixes.push_back(*std::move(found));
  else
    known->lifetime = found->lifetime;
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
    if (option[0] == kPref64) take(result, pref64(option));
  });
  if (!read) return std::unexpected(read.error());
  return result;
}

std::vector<std::uint8_t> router_solicitation() {
  constexpr std::array<std::uint8_t, 8> kMessage{kRouterSolicitation};
  return make_nd_packet({}, kAllRouters, kMessage);
}

}  // namespace clat
