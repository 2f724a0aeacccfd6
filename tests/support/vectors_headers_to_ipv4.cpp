// RFC 7915 §5.1: IPv6 header to IPv4 header.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

void add_headers_to_ipv4(std::vector<Vector>& table) {
  const Scene& s = neutral();
  const auto small = udp(counting(32));
  const auto change = [&](const char* id, const std::string& description, auto edit6, auto edit4,
                          const Segment& segment) {
    auto six = in6(s);
    auto four = in4(s);
    edit6(six);
    edit4(four);
    table.push_back(to_ipv4(id, description, s, packet(six, segment), packet(four, segment)));
  };
  const auto same = [](auto&) {};

  change("G1", "ihl 5 and total length", same, same, small);
  change("G5", "no fragment offset and no mf of a packet that is none", same, same, small);
  table.push_back(to_ipv4("G11", "next header 58 becomes protocol 1", s, packet(in6(s), icmp6(129, 0, 7, counting(32))),
                          packet(in4(s), icmp4(0, 0, 7, counting(32)))));
  change("G2", "flow label ignored", [](Ip6& six) { six.flow_label = 0xfffff; }, same, small);
  for (const unsigned value : {0x01U, 0x10U, 0x80U, 0xb8U, 0xfeU, 0xffU}) {
    change(
        "G2", "traffic class " + std::to_string(value),
        [&](Ip6& six) { six.traffic_class = static_cast<std::uint8_t>(value); },
        [&](Ip4& four) { four.tos = static_cast<std::uint8_t>(value); }, small);
  }
  change("G3", "result 1260 may be fragmented", same, same, tcp(counting(1260 - 40)));
  change("G4", "result 1261 may not", same, [](Ip4& four) { four.df = true; }, tcp(counting(1261 - 40)));
  change("G4", "result 1480", same, [](Ip4& four) { four.df = true; }, udp(counting(1480 - 28)));
  for (const unsigned hops : {2U, 65U, 255U}) {
    change(
        "G7", "hop limit " + std::to_string(hops), [&](Ip6& six) { six.hop_limit = static_cast<std::uint8_t>(hops); },
        [&](Ip4& four) { four.ttl = static_cast<std::uint8_t>(hops - 1); }, small);
  }
  for (const std::uint8_t hops : {std::uint8_t{1}, std::uint8_t{0}}) {
    auto six = in6(s);
    six.hop_limit = hops;
    table.push_back(answered(drop4(hops == 1 ? "G8" : "G9", "hop limit " + std::to_string(hops), s, packet(six, small),
                                   Verdict::hop_limit_exceeded),
                             s, {3, 0}));
  }
}

}  // namespace clat::test
