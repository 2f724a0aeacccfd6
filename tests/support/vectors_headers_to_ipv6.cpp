// RFC 7915 §4.1: IPv4 header to IPv6 header.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

void add_headers_to_ipv6(std::vector<Vector>& table) {
  const Scene& s = neutral();
  const auto small = udp(counting(32));
  const auto change = [&](const char* id, const char* description, auto edit4, auto edit6, const Segment& segment) {
    auto four = out4(s);
    auto six = out6(s);
    edit4(four);
    edit6(six);
    table.push_back(to_ipv6(id, description, s, packet(four, segment), packet(six, segment)));
  };
  const auto same = [](auto&) {};

  change("A1", "version 6 and flow label 0", same, same, small);
  for (const unsigned tos : {0x01U, 0x10U, 0x80U, 0xb8U, 0xfeU, 0xffU}) {
    change(
        "A2", ("tos " + std::to_string(tos)).c_str(), [&](Ip4& four) { four.tos = static_cast<std::uint8_t>(tos); },
        [&](Ip6& six) { six.traffic_class = static_cast<std::uint8_t>(tos); }, small);
  }
  change("A3", "payload length without the header", same, same, udp(counting(777)));
  change("A4", "protocol 6 becomes next header 6", same, same, tcp(counting(32)));
  table.push_back(to_ipv6("A5", "protocol 1 becomes next header 58", s, packet(out4(s), icmp4(8, 0, 7, counting(32))),
                          packet(out6(s), icmp6(128, 0, 7, counting(32)))));
  for (const unsigned ttl : {2U, 65U, 255U}) {
    change(
        "A6", ("ttl " + std::to_string(ttl)).c_str(), [&](Ip4& four) { four.ttl = static_cast<std::uint8_t>(ttl); },
        [&](Ip6& six) { six.hop_limit = static_cast<std::uint8_t>(ttl - 1); }, small);
  }
  for (const std::uint8_t ttl : {std::uint8_t{1}, std::uint8_t{0}}) {
    auto four = out4(s);
    four.ttl = ttl;
    table.push_back(answered(drop6(ttl == 1 ? "A7" : "A9", "ttl " + std::to_string(ttl), s, packet(four, small),
                                   Verdict::hop_limit_exceeded),
                             s, {11, 0}));
  }
  for (const std::uint16_t wrong : {std::uint16_t{0}, std::uint16_t{0xffff}, std::uint16_t{0x1234}}) {
    auto four = out4(s);
    four.checksum = wrong;
    table.push_back(
        drop6("A10", "header checksum " + std::to_string(wrong), s, packet(four, small), Verdict::bad_header_checksum));
  }
  change("A11", "reserved flag", [](Ip4& four) { four.reserved = true; }, same, small);
  change("A12", "df 0 with an identification", [](Ip4& four) { four.id = 0xbeef; }, same, small);
  change("A12", "df 0 and result 1280", same, same, udp(counting(1280 - 48)));
  change(
      "A13", "df 1",
      [](Ip4& four) {
        four.df = true;
        four.id = 7;
      },
      same, small);
  change("A13", "df 1 and result 1500", [](Ip4& four) { four.df = true; }, same, tcp(counting(1500 - 60)));
  // lowest-ipv6-mtu is the uplink's MTU by default, so up to it nothing is fragmented (checklist A14, A15).
  change("A14", "df 0 and result 1500 with lowest-ipv6-mtu above", same, same, udp(counting(1500 - 48)));
}

}  // namespace clat::test
