#include "core/xlat/describe.hpp"

#include <arpa/inet.h>

#include <cstdio>

#include "core/xlat/ip_header.hpp"

namespace clat::xlat {

namespace {

using AddressText = std::array<char, INET6_ADDRSTRLEN>;
using PortText = std::array<char, sizeof ":65535">;

bool has_ports(const Layout& packet) {
  const bool known =
      packet.protocol == kTcp || packet.protocol == kUdp || packet.protocol == kUdpLite || packet.protocol == kDccp;
  return known && packet.fragment.part() != Part::later && packet.size >= packet.header + 4;
}

}  // namespace

Description::Description(std::span<const std::uint8_t> packet) {
  const std::uint8_t* const ip = packet.data();
  const bool is_ipv4 = packet.size() >= kIpv4Header && ip[0] >> 4 == 4;
  if (!is_ipv4 && (packet.size() < kIpv6Header || ip[0] >> 4 != 6)) {
    std::snprintf(text_.data(), text_.size(), "%zu bytes", packet.size());
    return;
  }
  Layout layout;
  const bool readable = read_layout(ip, packet.size(), layout) == Verdict::translated;
  std::array<AddressText, 2> addresses{};
  std::array<PortText, 2> ports{};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::uint8_t* address = is_ipv4 ? ip + 12 + 4 * i : ip + 8 + 16 * i;
    inet_ntop(is_ipv4 ? AF_INET : AF_INET6, address, addresses[i].data(), addresses[i].size());
    if (readable && has_ports(layout)) {
      std::snprintf(ports[i].data(), ports[i].size(), ":%u", load_be16(ip + layout.header + 2 * i));
    }
  }
  const char* format = is_ipv4 ? "protocol %u %s%s > %s%s" : "protocol %u [%s]%s > [%s]%s";
  std::snprintf(text_.data(), text_.size(), format, layout.protocol, addresses[0].data(), ports[0].data(),
                addresses[1].data(), ports[1].data());
}

}  // namespace clat::xlat
