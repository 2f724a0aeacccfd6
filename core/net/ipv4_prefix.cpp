#include "core/net/ipv4_prefix.hpp"

#include <charconv>

namespace clat {

std::optional<unsigned> parse_length(std::string_view digits, unsigned least, unsigned most) {
  unsigned length = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool is_number = code == std::errc{} && end == digits.data() + digits.size();
  return is_number && length >= least && length <= most ? std::optional(length) : std::nullopt;
}

Result<Ipv4Prefix> Ipv4Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = Ipv4Address::parse(text.substr(0, slash));
  if (slash == std::string_view::npos || !address) {
    return failure("not an IPv4 prefix; expected something like 192.168.1.0/24");
  }
  const auto length = parse_length(text.substr(slash + 1), 1, 32);
  if (!length) return failure("the prefix's length is not a number from 1 to 32");
  const Ipv4Prefix prefix{*address, *length};
  if (prefix == prefix.masked()) return prefix;
  return failure("the prefix has host bits set; did you mean " + prefix.masked().text() + "?");
}

}  // namespace clat
