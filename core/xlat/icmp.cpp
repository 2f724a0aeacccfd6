#include "core/xlat/icmp.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "core/xlat/quote.hpp"

namespace clat::xlat {

namespace {

constexpr std::uint8_t kUnreachable4 = 3, kTimeExceeded4 = 11, kParameterProblem4 = 12;
constexpr std::uint8_t kFragmentationNeeded = 4;  // code of kUnreachable4
constexpr std::uint8_t kUnreachable6 = 1, kPacketTooBig = 2, kTimeExceeded6 = 3, kParameterProblem6 = 4;

// Type, code and bytes 4-7 of an error, apart from RFC 4884's attribute.
struct Message {
  std::uint8_t type = 0, code = 0;
  std::uint32_t rest = 0;  // bytes 4-7: a pointer or an MTU, as its family has it
};

// RFC 7915 §4.2, by code of Destination Unreachable; type 0: none.
constexpr std::array<Message, 16> kUnreachableToIpv6{{
    {kUnreachable6, 0},          // network
    {kUnreachable6, 0},          // host
    {kParameterProblem6, 1, 6},  // protocol: our Next Header
    {kUnreachable6, 4},          // port
    {kPacketTooBig, 0},
    {kUnreachable6, 0},  // source route failed
    {kUnreachable6, 0},
    {kUnreachable6, 0},
    {kUnreachable6, 0},
    {kUnreachable6, 1},  // network prohibited
    {kUnreachable6, 1},  // host prohibited
    {kUnreachable6, 0},
    {kUnreachable6, 0},
    {kUnreachable6, 1},  // administratively
    {},                  // host precedence violation
    {kUnreachable6, 1},  // precedence cutoff
}};
// RFC 7915 §5.2.
constexpr std::array<Message, 5> kUnreachableToIpv4{{
    {kUnreachable4, 1},   // no route
    {kUnreachable4, 10},  // administratively prohibited
    {kUnreachable4, 1},   // beyond scope
    {kUnreachable4, 1},   // address
    {kUnreachable4, 3},   // port
}};

// RFC 7915 figures 3 and 6, by the byte pointed at.
constexpr std::uint8_t kNowhere = 0xff;
constexpr std::array<std::uint8_t, 20> kPointerToIpv6{
    0,        1,                             // version and header length, type of service
    4,        4,                             // total length
    kNowhere, kNowhere, kNowhere, kNowhere,  // identification, fragmentation
    7,        6,                             // time to live, protocol
    kNowhere, kNowhere,                      // checksum
    8,        8,        8,        8,        24, 24, 24, 24};
constexpr std::array<std::uint8_t, 40> kPointerToIpv4{
    0,  1,  kNowhere, kNowhere,  // version, traffic class, flow label
    2,  2,  9,        8,         // payload length, next header, hop limit
    12, 12, 12,       12,       12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,  // source
    16, 16, 16,       16,       16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16};

std::optional<std::uint8_t> translated_pointer(std::span<const std::uint8_t> table, std::uint32_t pointer) {
  if (pointer >= table.size() || table[pointer] == kNowhere) return std::nullopt;
  return table[pointer];
}

std::optional<Message> to_icmp6(const Message& from) {
  switch (from.type) {
    case kUnreachable4:
      if (from.code >= kUnreachableToIpv6.size() || kUnreachableToIpv6[from.code].type == 0) return std::nullopt;
      return kUnreachableToIpv6[from.code];
    case kTimeExceeded4:
      if (from.code > 1) return std::nullopt;
      return Message{kTimeExceeded6, from.code};
    case kParameterProblem4:
      // Code 1 is about a required option, and IPv6 has none.
      if (const auto pointer = translated_pointer(kPointerToIpv6, from.rest >> 24);
          pointer && (from.code == 0 || from.code == 2)) {
        return Message{kParameterProblem6, 0, *pointer};
      }
      return std::nullopt;
    default: return std::nullopt;
  }
}

std::optional<Message> to_icmp4(const Message& from) {
  switch (from.type) {
    case kUnreachable6:
      if (from.code >= kUnreachableToIpv4.size()) return std::nullopt;
      return kUnreachableToIpv4[from.code];
    case kPacketTooBig: return Message{kUnreachable4, kFragmentationNeeded};  // whatever the code: RFC 4443 §3.2
    case kTimeExceeded6:
      if (from.code > 1) return std::nullopt;
      return Message{kTimeExceeded4, from.code};
    case kParameterProblem6:
      if (from.code == 1) return Message{kUnreachable4, 2};
      if (const auto pointer = translated_pointer(kPointerToIpv4, from.rest); pointer && from.code == 0) {
        return Message{kParameterProblem4, 0, std::uint32_t{*pointer} << 24};
      }
      return std::nullopt;
    default: return std::nullopt;
  }
}

// RFC 7915 §4.2. `total` is the length of the packet that was too big, for routers that give no MTU.
std::uint32_t mtu_to_ipv6(std::uint32_t reported, std::size_t total, const Mtus& mtus) {
  constexpr std::array<std::uint16_t, 7> kPlateaus{65535, 32000, 17914, 8166, 4352, 2002, 1492};  // RFC 1191 §7.1
  if (reported == 0) {
    const auto plateau = std::ranges::find_if(kPlateaus, [&](std::size_t size) { return size < total; });
    if (plateau != kPlateaus.end()) reported = *plateau;
  }
  const auto most = std::min(mtus.ipv6, mtus.ipv4 + kHeaderDifference);
  return std::max(kIpv6MinimumMtu, std::min(reported + kHeaderDifference, most));
}

// RFC 7915 §5.2. A packet that left with a Fragment Header had 8 bytes less room.
std::uint32_t mtu_to_ipv4(std::uint32_t reported, bool fragment, const Mtus& mtus) {
  const auto ipv6 = std::clamp(reported, kIpv6MinimumMtu, mtus.ipv6);
  return std::min(ipv6 - kHeaderDifference - (fragment ? clat::kFragmentHeader : 0), mtus.ipv4);
}

// RFC 4884 §4: which errors say how long the quote is, in which byte, in words of how many bytes.
struct LengthAttribute {
  std::size_t at, word;
};
std::optional<LengthAttribute> length_attribute4(std::uint8_t type) {
  if (type != kUnreachable4 && type != kTimeExceeded4 && type != kParameterProblem4) return std::nullopt;
  return LengthAttribute{5, 4};
}
std::optional<LengthAttribute> length_attribute6(std::uint8_t type) {
  if (type != kUnreachable6 && type != kTimeExceeded6) return std::nullopt;
  return LengthAttribute{4, 8};
}

constexpr std::size_t kLeastExtended = 128;  // RFC 4884 §4.6: bytes quoted in front of an extension

// To IPv6, an error grows to the front by its own header, that of the quote, a Fragment Header there, and a padding
// word.
static_assert(2 * kHeaderDifference + kFragmentHeader + 4 + sizeof(VnetHeader) <= kHeadroom);

// Takes the extension off the quote. Nothing: there is none, or its attribute lies.
std::span<std::uint8_t> split_extension(const std::optional<LengthAttribute>& attribute, const Transport& icmp,
                                        Quote& quote) {
  if (!attribute) return {};
  const std::size_t length = icmp.data[attribute->at] * attribute->word;
  if (length < kLeastExtended || length >= quote.size) return {};
  const std::span all(quote.data, quote.size);
  quote.size = length;
  return all.subspan(length);
}

// Joins them again in no more than `room` bytes: the quote padded or cut to whole words, the extension as it is and
// where it is. Returns the attribute's value.
std::uint8_t join_extension(const std::optional<LengthAttribute>& attribute, std::span<std::uint8_t> extension,
                            std::size_t room, Quote& quote) {
  if (!attribute || extension.empty() || extension.size() + kLeastExtended > room) {
    quote.size = std::min(quote.size, room);
    return 0;
  }
  const std::size_t word = attribute->word;
  const auto whole_words = [&](std::size_t size) { return size / word * word; };
  const std::size_t padded = std::max(kLeastExtended, whole_words(quote.size + word - 1));
  const std::size_t length = std::min({padded, whole_words(room - extension.size()), 255 * word});
  std::uint8_t* const begin = extension.data() - length;
  const std::size_t kept = std::min(quote.size, length);
  std::memmove(begin, quote.data, kept);
  std::memset(begin + kept, 0, length - kept);
  quote.data = begin;
  quote.size = length + extension.size();
  return static_cast<std::uint8_t>(length / word);
}

}  // namespace

Verdict rewrite_error(Direction direction, const Sides& sides, const Mtus& mtus, const AddressChange& addresses,
                      Transport& icmp) {
  const bool to_ipv6 = direction == Direction::to_ipv6;
  const Message from{icmp.data[0], icmp.data[1], load_be32(icmp.data + 4)};
  auto message = to_ipv6 ? to_icmp6(from) : to_icmp4(from);
  if (!message) return Verdict::icmp_type;
  Sum before = sum_bytes(icmp.data, icmp.size);
  if (!to_ipv6) before += icmp6_pseudo_header(addresses.before, icmp.size);

  Quote quote{icmp.data + kIcmpHeader, icmp.size - kIcmpHeader};
  const std::size_t total = quote.size < kIpv4Header ? 0 : load_be16(quote.data + 2);
  const auto extension =
      split_extension(to_ipv6 ? length_attribute4(from.type) : length_attribute6(from.type), icmp, quote);
  if (!rewrite_quote(direction, sides, quote)) return Verdict::bad_inner;
  // RFC 4443 §2.4 (c). IPv4 knows a least size, but takes any.
  const std::size_t room = (to_ipv6 ? kIpv6MinimumMtu - kIpv6Header : 0xffff - kIpv4Header) - kIcmpHeader;
  const auto attribute = to_ipv6 ? length_attribute6(message->type) : length_attribute4(message->type);
  const std::uint8_t words = join_extension(attribute, extension, room, quote);

  if (to_ipv6 && message->type == kPacketTooBig) message->rest = mtu_to_ipv6(from.rest & 0xffff, total, mtus);
  if (!to_ipv6 && from.type == kPacketTooBig) message->rest = mtu_to_ipv4(from.rest, quote.fragment, mtus);
  icmp.data = quote.data - kIcmpHeader;
  icmp.size = kIcmpHeader + quote.size;
  icmp.offload.wire_size = icmp.size;
  store_be32(icmp.data, std::uint32_t{message->type} << 24 | std::uint32_t{message->code} << 16);
  store_be32(icmp.data + 4, message->rest);
  if (words != 0) icmp.data[attribute->at] = words;
  // A right checksum stays right, and a wrong one stays wrong by the same difference.
  Sum after = sum_bytes(icmp.data, icmp.size) + minus(before);
  if (to_ipv6) after += icmp6_pseudo_header(addresses.after, icmp.size);
  store(icmp.data + 2, complement(fold(after)));
  return Verdict::translated;
}

}  // namespace clat::xlat
