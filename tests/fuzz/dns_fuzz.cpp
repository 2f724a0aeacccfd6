// Any answer of a DNS server and any resolv.conf: reading ends, and what comes of it keeps to its bounds.
#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/net/dns64.hpp"
#include "core/net/dns_answer.hpp"
#include "core/net/name_server.hpp"
#include "require.hpp"

using clat::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clat;
  // A block of its own: one byte too far is seen.
  const std::vector<std::uint8_t> input(data, data + size);
  if (const auto answer = parse_aaaa_answer(input, kIpv4OnlyName)) {
    require(answer->addresses.size() <= kMostAaaaAddresses && answer->ttl.count() >= 0);
    const auto prefixes = nat64_prefixes_of(answer->addresses);
    require(prefixes.size() <= kMostDns64Prefixes);
    for (const auto& prefix : prefixes) {
      require(Nat64Prefix::make(prefix.address(), prefix.length()).has_value());
      require(std::ranges::any_of(answer->addresses, [&](const Ipv6Address& each) { return prefix.contains(each); }));
    }
  }
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  require(parse_name_servers(text, "wan0").size() <= kMostNameServers);
  return 0;
}
