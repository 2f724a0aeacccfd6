#include "core/net/router_advertisement.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "core/net/checksum.hpp"
#include "core/net/ipv6_prefix.hpp"

namespace clat {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kAdvertisement = 16;  // before its options
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kRouterSolicitation = 133;
constexpr std::uint8_t kRouterAdvertisement = 134;
constexpr std::uint8_t kPref64 = 38;
constexpr std::size_t kPref64Size = 16;
constexpr Ipv6Address kAllRouters{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

std::uint16_t word(Bytes bytes, std::size_t at) { return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]); }

Ipv6Address address(Bytes bytes) {
  Ipv6Address result;
  std::ranges::copy(bytes.first(result.bytes.size()), result.bytes.begin());
  return result;
}

// Of the ICMPv6 message with the pseudo-header of `header`; 0 where the message's own checksum is right.
std::uint16_t checksum(Bytes header, Bytes message) {
  const auto length = static_cast<std::uint32_t>(message.size());
  const auto pseudo = checksum_add(header.subspan(8, 32), (length >> 16) + (length & 0xffff) + kIcmpv6);
  return static_cast<std::uint16_t>(~checksum_fold(checksum_add(message, pseudo)));
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
  if (packet.size() < kIpv6Header + kAdvertisement) return failure("it is too short");
  const Bytes header = packet.first(kIpv6Header);
  const std::size_t length = word(header, 4);
  if (header[0] >> 4 != 6 || header[6] != kIcmpv6) return failure("it is not ICMPv6");
  if (length < kAdvertisement || kIpv6Header + length > packet.size()) return failure("its length lies");
  const Bytes message = packet.subspan(kIpv6Header, length);
  if (message[0] != kRouterAdvertisement || message[1] != 0) return failure("it is no router advertisement");
  if (header[7] != 255)
    return failure("its hop limit is " + std::to_string(header[7]) + ": it comes from another link");
  RouterAdvertisement result{.router = address(header.subspan(8))};
  if (!result.router.is_link_local()) return failure("its source is not link-local");
  if (checksum(header, message) != 0) return failure("its checksum is wrong");

  for (Bytes options = message.subspan(kAdvertisement); !options.empty();) {
    const std::size_t size = options.size() < 2 ? 0 : std::size_t{options[1]} * 8;
    if (size == 0 || size > options.size()) return failure("the length of an option lies");
    if (options[0] == kPref64) take(result, pref64(options.first(size)));
    options = options.subspan(size);
  }
  return result;
}

std::vector<std::uint8_t> router_solicitation() {
  constexpr std::size_t kSize = 8;
  std::vector<std::uint8_t> packet(kIpv6Header + kSize);
  packet[0] = 0x60;
  packet[5] = kSize;
  packet[6] = kIcmpv6;
  packet[7] = 255;
  std::ranges::copy(kAllRouters.bytes, packet.begin() + 24);
  packet[kIpv6Header] = kRouterSolicitation;
  const auto sum = checksum(Bytes(packet).first(kIpv6Header), Bytes(packet).subspan(kIpv6Header));
  packet[kIpv6Header + 2] = static_cast<std::uint8_t>(sum >> 8);
  packet[kIpv6Header + 3] = static_cast<std::uint8_t>(sum);
  return packet;
}

}  // namespace clat
