#include "core/net/ipv4_prefix.hpp"

#include "core/base/numbers.hpp"

namespace clat {

Result<Ipv4Prefix> Ipv4Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = Ipv4Address::parse(text.substr(0, slash));
  if (slash == std::string_view::npos || !address) {
    return failure("not an IPv4 prefix; expected something like 192.168.1.0/24");
  }
  const auto length = parse_number<unsigned>(text.substr(slash + 1), 1, 32);
  if (!length) return failure("the prefix's length is not a number from 1 to 32");
  const Ipv4Prefix prefix{*address, *length};
  if (prefix == prefix.masked()) return prefix;
  return failure("the prefix has host bits set; did you mean " + prefix.masked().text() + "?");
}

}  // namespace clat
