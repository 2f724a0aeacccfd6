// Checklist M: packets that are not what they say, and Ethernet padding behind them.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

namespace {

void add_lengths(std::vector<Vector>& table) {
  const Scene& s = neutral();
  const auto four = packet(out4(s), udp(counting(32)));
  const auto six = packet(in6(s), udp(counting(32)));
  for (const std::size_t size : {1U, 10U, 19U}) {
    table.push_back(drop6("M1", std::to_string(size) + " bytes of ipv4", s, head(four, size), Verdict::truncated));
  }
  for (const std::size_t size : {1U, 20U, 39U}) {
    table.push_back(drop4("M5", std::to_string(size) + " bytes of ipv6", s, head(six, size), Verdict::truncated));
  }
  const auto lie4 = [&](const char* description, auto edit, Verdict verdict) {
    auto header = out4(s);
    edit(header);
    table.push_back(drop6("M1", description, s, packet(header, udp(counting(32))), verdict));
  };
  lie4("version 0", [](Ip4& h) { h.version_ihl = 0x05; }, Verdict::bad_version);
  lie4("version 5", [](Ip4& h) { h.version_ihl = 0x55; }, Verdict::bad_version);
  lie4("ihl 0", [](Ip4& h) { h.version_ihl = 0x40; }, Verdict::bad_header_length);
  lie4("ihl 4", [](Ip4& h) { h.version_ihl = 0x44; }, Verdict::bad_header_length);
  lie4("total length 0", [](Ip4& h) { h.total_length = 0; }, Verdict::bad_length);
  lie4("total length 19", [](Ip4& h) { h.total_length = 19; }, Verdict::bad_length);
  lie4("total length one beyond", [](Ip4& h) { h.total_length = 61; }, Verdict::bad_length);
  lie4("total length 65535", [](Ip4& h) { h.total_length = 65535; }, Verdict::bad_length);
  {
    auto header = out4(s);
    header.version_ihl = 0x4f;
    table.push_back(drop6("M1", "ihl 15 beyond the packet", s, packet(header, udp({})), Verdict::bad_header_length));
  }
  const auto lie6 = [&](const char* id, const char* description, auto edit, Verdict verdict) {
    auto header = in6(s);
    edit(header);
    table.push_back(drop4(id, description, s, packet(header, udp(counting(32))), verdict));
  };
  lie6("M5", "payload length one beyond", [](Ip6& h) { h.payload_length = 41; }, Verdict::bad_length);
  lie6("M5", "payload length 65535", [](Ip6& h) { h.payload_length = 65535; }, Verdict::bad_length);
  lie6("M5", "version 7", [](Ip6& h) { h.version = 7; }, Verdict::bad_version);
  {
    auto header = in6(s);
    header.chain_first = 0;
    header.chain = {17, 0, 0xc2, 4, 0, 1, 0, 0};  // Jumbo Payload option, 65536
    header.payload_length = 0;
    table.push_back(drop4("G17", "jumbogram", s, packet(header, udp(counting(32))), Verdict::bad_length));
  }
}

void add_trailers(std::vector<Vector>& table) {
  for (const auto* scene : {&neutral(), &operators96()}) {
    for (const auto& segment : {udp(counting(3)), tcp(counting(3))}) {
      const auto kind = std::to_string(segment.protocol) + " " + scene->name;
      table.push_back(trailed(to_ipv6("M2", "bytes behind total length cut off, protocol " + kind, *scene,
                                      packet(out4(*scene), segment), packet(out6(*scene), segment))));
      table.push_back(trailed(to_ipv4("G19", "bytes behind payload length cut off, protocol " + kind, *scene,
                                      packet(in6(*scene), segment), packet(in4(*scene), segment))));
    }
    table.push_back(
        trailed(to_ipv6("M2", std::string("bytes behind total length not summed ") + scene->name, *scene,
                        packet(out4(*scene), udp(counting(3), Sum::none)), packet(out6(*scene), udp(counting(3))))));
    const auto four = icmp4(8, 0, 1, counting(3)), six = icmp6(128, 0, 1, counting(3));
    table.push_back(trailed(to_ipv6("M2", std::string("bytes behind total length of an echo ") + scene->name, *scene,
                                    packet(out4(*scene), four), packet(out6(*scene), six))));
    table.push_back(trailed(to_ipv4("G19", std::string("bytes behind payload length of an echo ") + scene->name, *scene,
                                    packet(in6(*scene), six), packet(in4(*scene), four))));
  }
}

void add_transport_headers(std::vector<Vector>& table) {
  const Scene& s = neutral();
  const auto both = [&](const char* id, const std::string& description, const Segment& segment) {
    table.push_back(drop6(id, description + " out", s, packet(out4(s), segment), Verdict::bad_transport));
    table.push_back(drop4(id, description + " in", s, packet(in6(s), segment), Verdict::bad_transport));
  };
  for (const std::size_t size : {0U, 1U, 7U}) both("M3", "udp cut at " + std::to_string(size), raw(17, counting(size)));
  for (const std::size_t size : {0U, 8U, 19U}) both("M4", "tcp cut at " + std::to_string(size), raw(6, counting(size)));
  for (const std::uint16_t length : {std::uint16_t{0}, std::uint16_t{7}, std::uint16_t{41}, std::uint16_t{65535}}) {
    for (const auto sum : {Sum::right, Sum::none}) {
      both("M3", "udp length " + std::to_string(length) + (sum == Sum::none ? " without" : " with") + " checksum",
           udp(counting(32), sum, {}, length));
    }
  }
  // A UDP length shorter than the packet is legal; what lies behind is not part of the datagram.
  const auto shorter = udp(counting(32), Sum::right, {}, std::uint16_t{20});
  table.push_back(to_ipv6("M3", "udp length below the packet's", operators96(), packet(out4(operators96()), shorter),
                          packet(out6(operators96()), shorter)));
  table.push_back(to_ipv6("M3", "udp length below the packet's, no checksum", operators96(),
                          packet(out4(operators96()), udp(counting(32), Sum::none, {}, std::uint16_t{20})),
                          packet(out6(operators96()), shorter)));
}

}  // namespace

void add_malformed(std::vector<Vector>& table) {
  add_lengths(table);
  add_trailers(table);
  add_transport_headers(table);
}

}  // namespace clat::test
