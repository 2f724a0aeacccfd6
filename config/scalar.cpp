#include "config/scalar.hpp"

#include <charconv>
#include <cmath>
#include <limits>

#include "core/base/numbers.hpp"
#include "core/net/clat_address.hpp"

namespace clat::config {

namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kLongestPath = 4095;         // PATH_MAX less the terminator
constexpr std::size_t kLongestInterfaceName = 15;  // IFNAMSIZ less the terminator
constexpr std::size_t kLongestAltname = 127;       // likewise ALTIFNAMSIZ

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kDigits) == std::string_view::npos;
}

bool has_leading_zero(std::string_view digits) { return digits.size() > 1 && digits.front() == '0'; }

std::string range(std::uint32_t min, std::uint32_t max) {
  return "from " + std::to_string(min) + " to " + std::to_string(max);
}

std::string short_decimal(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

struct Unit {
  std::string_view name;
  milliseconds length;
};
constexpr std::array kUnits{Unit{"h", std::chrono::hours(1)}, Unit{"m", std::chrono::minutes(1)},
                            Unit{"s", std::chrono::seconds(1)}, Unit{"ms", milliseconds(1)}};

std::unexpected<Error> not_a_duration(std::string_view text) {
  return failure(in_quotes(text) + " is not a whole number and one of ms, s, m, h, like 500ms");
}

// The file itself was checked, but escapes can still write control characters: "\0", "\e", "\x9b", "\u2028".
bool holds_control_characters(std::string_view text) {
  while (!text.empty()) {
    const auto character = decode_utf8(text);
    if (!is_allowed(character) || character.code < 0x20) return true;
    text.remove_prefix(character.bytes);
  }
  return false;
}

std::string_view before_slash(std::string_view text) { return text.substr(0, text.find('/')); }

// Loopback, multicast, reserved, "this network": no packet may carry it as a source (RFC 1122 §3.2.1.3).
bool is_no_ipv4_source(const Ipv4Address& address) {
  return address.bytes[0] == 0 || address.bytes[0] == 127 || address.bytes[0] >= 224;
}

}  // namespace

Result<std::uint32_t> whole_number(std::string_view text, std::uint32_t min, std::uint32_t max,
                                   std::string_view instead) {
  if (is_digits(text) && has_leading_zero(text)) return failure(in_quotes(text) + ": write it without leading zeros");
  if (const auto number = parse_number(text, min, max)) return *number;
  std::string expected = std::string(instead) + (instead.empty() ? "" : " or ") + "a whole number " + range(min, max);
  return failure(in_quotes(text) + " is not " + expected);
}

Result<std::uint32_t> hex_or_decimal(std::string_view text) {
  constexpr auto kMax = std::numeric_limits<std::uint32_t>::max();
  if (!text.starts_with("0x") && !text.starts_with("0X")) {
    auto number = whole_number(text, 0, kMax);
    if (!number) number.error().what += ", or hexadecimal like 0x10";
    return number;
  }
  const auto digits = text.substr(2);
  const bool is_hex = !digits.empty() && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  if (!is_hex) return failure(in_quotes(text) + " is not a hexadecimal number");
  const auto number = parse_number<std::uint32_t>(digits, 16);
  if (!number) return failure(in_quotes(text) + " does not fit 32 bits");
  return *number;
}

Result<double> decimal(std::string_view text, double min, double max) {
  const auto dot = text.find('.');
  const bool is_decimal =
      is_digits(text.substr(0, dot)) && (dot == std::string_view::npos || is_digits(text.substr(dot + 1)));
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (is_decimal && code == std::errc{} && end == text.data() + text.size() && value >= min && value <= max) {
    return value;
  }
  return failure(in_quotes(text) + " is not a number from " + short_decimal(min) + " to " + short_decimal(max));
}

std::string text_of(milliseconds duration) {
  for (const auto& unit : kUnits) {
    if (duration.count() != 0 && duration.count() % unit.length.count() == 0) {
      return std::to_string(duration / unit.length) + std::string(unit.name);
    }
  }
  return "0s";
}

Result<milliseconds> duration(std::string_view text, milliseconds min, milliseconds max) {
  const auto digits = text.substr(0, text.find_first_not_of(kDigits));
  const auto name = text.substr(digits.size());
  if (digits.empty()) return not_a_duration(text);
  if (name.empty()) return failure(in_quotes(text) + " needs a unit: ms, s, m or h, like " + text_of(min));
  const auto unit = std::ranges::find(kUnits, name, &Unit::name);
  if (unit == kUnits.end()) return not_a_duration(text);
  if (has_leading_zero(digits)) return failure(in_quotes(text) + ": write it without leading zeros");
  const auto count = parse_number<std::int64_t>(digits);
  if (!count || *count > max / unit->length || *count * unit->length < min) {
    return failure(in_quotes(text) + " is not from " + text_of(min) + " to " + text_of(max));
  }
  return *count * unit->length;
}

Result<std::uint32_t> rate_per_second(std::string_view text, std::uint32_t max) {
  const auto digits = text.substr(0, text.find('/'));
  if (is_digits(text)) return failure(in_quotes(text) + " needs a unit: write " + in_quotes(std::string(text) + "/s"));
  if (!is_digits(digits) || text.substr(digits.size()) != "/s") {
    return failure(in_quotes(text) + " is not a rate per second, like 100/s");
  }
  if (has_leading_zero(digits)) return failure(in_quotes(text) + ": write it without leading zeros");
  const auto rate = parse_number(digits, 1U, max);
  if (!rate) {
    return failure(in_quotes(text) + " is not from 1/s to " + std::to_string(max) + "/s");
  }
  return *rate;
}

Result<std::string> plain_text(std::string_view text) {
  if (holds_control_characters(text)) return failure(in_quotes(text) + " holds control characters");
  return std::string(text);
}

Result<std::string> absolute_path(std::string_view text) {
  if (!text.starts_with('/')) return failure(in_quotes(text) + " is not an absolute path");
  if (text.size() > kLongestPath) return failure("a path is at most " + std::to_string(kLongestPath) + " bytes long");
  return plain_text(text);
}

Result<Ipv4Address> clat_ipv4_address(std::string_view text) {
  const auto address = Ipv4Address::parse(text);
  if (!address) {
    if (Ipv6Address::parse(before_slash(text)))
      return failure(in_quotes(text) + " is IPv6; an IPv4 address belongs here");
    if (Ipv4Address::parse(before_slash(text)))
      return failure(in_quotes(text) + ": write the address without a length");
    return failure(in_quotes(text) + " is not auto or an IPv4 address like 192.0.0.4");
  }
  if (is_no_ipv4_source(*address)) return failure(address->text() + " cannot be the address of a host");
  if (*address == kDummyIpv4) return failure(address->text() + " is the source of clatvisor's own ICMP errors");
  return *address;
}

Result<Ipv4Address> ipv4_host(std::string_view text) {
  const auto address = Ipv4Address::parse(text);
  if (!address) return failure(in_quotes(text) + " is not an IPv4 address like 192.0.0.170");
  if (is_no_ipv4_source(*address)) return failure(address->text() + " cannot be the address of a host");
  return *address;
}

Result<Ipv6Address> clat_ipv6_address(std::string_view text) {
  const auto address = Ipv6Address::parse(text);
  if (!address) {
    if (Ipv4Address::parse(before_slash(text)))
      return failure(in_quotes(text) + " is IPv4; an IPv6 address belongs here");
    if (Ipv6Address::parse(before_slash(text)))
      return failure(in_quotes(text) + ": write the address without a length");
    return failure(in_quotes(text) + " is not auto or an IPv6 address");
  }
  const auto refuse = [&](std::string_view kind) {
    return failure(address->text() + " is " + std::string(kind) + "; a global address belongs here");
  };
  constexpr Ipv6Address kLoopback{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  if (address->is_unspecified()) return refuse("the unspecified address");
  if (*address == kLoopback) return refuse("the loopback address");
  if (address->is_multicast()) return refuse("multicast");
  if (address->is_link_local()) return refuse("link-local");
  if (address->is_ipv4_mapped()) return refuse("IPv4-mapped");
  return *address;
}

Result<NameServer> name_server(std::string_view text) {
  const auto address = Ipv6Address::parse(text);
  if (!address || address->is_unspecified() || address->is_multicast()) {
    return failure(in_quotes(text) + " is not the IPv6 address of a DNS server, like 2001:db8::53");
  }
  return NameServer{*address};
}

Result<Ipv6Prefix> ipv6_source(std::string_view text) {
  auto prefix = Ipv6Prefix::parse(text);
  if (!prefix) return failure(in_quotes(text) + ": " + prefix.error().what);
  constexpr unsigned kShortest = 16;
  if (prefix->length < kShortest || prefix->length > kLongestClatSubnet) {
    return failure(in_quotes(text) + ": a length from /" + std::to_string(kShortest) + " to /" +
                   std::to_string(kLongestClatSubnet) + " belongs here, like /64");
  }
  if (auto address = clat_ipv6_address(prefix->address.text()); !address) return std::unexpected(address.error());
  return prefix;
}

Result<Nat64Prefix> nat64_prefix(std::string_view text) {
  if (Ipv4Address::parse(before_slash(text))) {
    return failure(in_quotes(text) + " is IPv4; an IPv6 prefix belongs here, like 64:ff9b::/96");
  }
  if (!Ipv6Address::parse(before_slash(text))) {
    return failure(in_quotes(text) + " is not an IPv6 prefix like 64:ff9b::/96");
  }
  auto prefix = Nat64Prefix::parse(text);
  if (!prefix && !prefix.error().what.starts_with(text)) return std::unexpected(prefix.error().in(in_quotes(text)));
  return prefix;
}

namespace {

std::unexpected<Error> holds_no_hosts(std::string_view text) {
  return failure(in_quotes(text) + " holds no addresses of hosts");
}

// What stands in front of the length of an IPv4 prefix of hosts.
Result<Ipv4Address> network_of_hosts(std::string_view text, const char* example) {
  if (Ipv6Address::parse(before_slash(text))) return failure(in_quotes(text) + " is IPv6; an IPv4 prefix belongs here");
  const auto network = Ipv4Address::parse(before_slash(text));
  if (!network) return failure(in_quotes(text) + " is not an IPv4 prefix like " + example);
  if (is_no_ipv4_source(*network)) return holds_no_hosts(text);
  return *network;
}

}  // namespace

Result<Ipv4Prefix> ipv4_source(std::string_view text) {
  const auto network = network_of_hosts(text, "192.168.1.0/24");
  if (!network) return std::unexpected(network.error());
  if (network->is_link_local()) return holds_no_hosts(text);
  auto prefix = Ipv4Prefix::parse(text);
  if (!prefix) return std::unexpected(prefix.error().in(in_quotes(text)));
  constexpr unsigned kShortest = 8;
  if (prefix->length < kShortest) {
    return failure(in_quotes(text) + ": a length from /" + std::to_string(kShortest) + " to /32 belongs here");
  }
  if (prefix->contains(kDummyIpv4)) {
    return failure(in_quotes(text) + " holds " + kDummyIpv4.text() + ", the source of clatvisor's own ICMP errors");
  }
  return prefix;
}

Result<Ipv4Pool> ipv4_pool(std::string_view text) {
  if (const auto network = network_of_hosts(text, "192.0.0.0/29"); !network) return std::unexpected(network.error());
  auto pool = Ipv4Pool::parse(text);
  if (!pool) return std::unexpected(pool.error().in(in_quotes(text)));
  return pool;
}

namespace {

Result<std::string> name_of_at_most(std::size_t most, std::string_view text) {
  const auto refuse = [&](const std::string& why) { return failure("interface name " + in_quotes(text) + " " + why); };
  if (text.empty()) return refuse("is empty");
  if (text == "." || text == ".." || text == "all" || text == "default" || text == "lo") {
    return refuse("cannot be that of an uplink");
  }
  // '%' makes the kernel number a device: "v4-a%d" becomes v4-a0.
  const auto bad = std::ranges::find_if(
      text, [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == '/' || c == ':' || c == '%'; });
  if (bad != text.end()) return refuse("may hold printable ASCII only, and no space, '/', ':' or '%'");
  if (text.size() > most) {
    return refuse("has " + std::to_string(text.size()) + " characters; at most " + std::to_string(most) +
                  " are possible");
  }
  return std::string(text);
}

}  // namespace

Result<std::string> interface_name(std::string_view text) { return name_of_at_most(kLongestInterfaceName, text); }

Result<std::string> interface_name_or_altname(std::string_view text) { return name_of_at_most(kLongestAltname, text); }

}  // namespace clat::config
