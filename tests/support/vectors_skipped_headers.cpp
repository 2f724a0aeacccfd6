// RFC 7915 §4.1 and §5.1: IPv4 options and IPv6 extension headers are left out.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

void add_options(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto segment = udp(counting(40));
  const auto with = [&](const Bytes& options) {
    auto four = out4(s);
    four.options = options;
    return packet(four, segment);
  };
  const auto skipped = [&](const char* id, const std::string& description, const Bytes& options) {
    table.push_back(to_ipv6(id, description, s, with(options), packet(out6(s), segment)));
  };
  skipped("C1", "no operation and end of list", {1, 1, 1, 0});
  skipped("C1", "record route", {7, 7, 4, 0, 0, 0, 0, 0});
  skipped("C1", "timestamp", {68, 8, 5, 0, 0, 0, 0, 0});
  skipped("C1", "router alert", {148, 4, 0, 0});
  skipped("C1", "stream id", {136, 4, 0, 1});
  skipped("C1", "security", {130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  skipped("C1", "forty bytes of no operation", Bytes(40, 1));
  skipped("C2", "loose source route that has ended", {131, 7, 8, 198, 51, 100, 9, 0});
  skipped("C2", "strict source route that has ended", {137, 7, 8, 198, 51, 100, 9, 0});
  table.push_back(trailed(to_ipv6("M2", "bytes behind total length of a packet with options", s, with({1, 1, 1, 0}),
                                  packet(out6(s), segment))));
  skipped("C5", "source route behind the end of the list", {0, 131, 7, 4, 198, 51, 100, 9});

  const auto dropped = [&](const char* id, const char* description, const Bytes& options, Verdict verdict) {
    table.push_back(drop6(id, description, s, with(options), verdict));
  };
  const auto refused = [&](const char* description, const Bytes& options) {
    table.push_back(answered(drop6("C3", description, s, with(options), Verdict::source_route), s, {3, 5}));
  };
  refused("loose source route", {131, 7, 4, 198, 51, 100, 9, 0});
  refused("strict source route", {137, 7, 4, 198, 51, 100, 9, 0});
  refused("loose source route at its last byte", {131, 7, 7, 198, 51, 100, 9, 0});
  refused("source route behind others", {1, 148, 4, 0, 0, 131, 7, 4, 198, 51, 100, 9});
  dropped("C6", "option of length 0", {7, 0, 4, 0}, Verdict::bad_options);
  dropped("C6", "option of length 1", {7, 1, 4, 0}, Verdict::bad_options);
  dropped("C6", "option beyond the header", {7, 5, 4, 0}, Verdict::bad_options);
  dropped("C6", "option without a length", {1, 1, 1, 7}, Verdict::bad_options);
  dropped("C6", "source route without a pointer", {1, 1, 131, 2}, Verdict::bad_options);
}

namespace {

const Bytes kPad{1, 4, 0, 0, 0, 0};  // fills the 8 bytes of a header of options

Bytes with(std::uint8_t first, const Bytes& chain, const Segment& segment) {
  auto six = in6(operators96());
  six.chain_first = first;
  six.chain = chain;
  return packet(six, segment);
}

// So many headers of destination options.
Bytes options(int count) {
  Bytes chain;
  for (int n = 1; n <= count; ++n) chain = chain + Bytes{static_cast<std::uint8_t>(n == count ? 17 : 60), 0} + kPad;
  return chain;
}

void add_skipped_headers(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto segment = udp(counting(40));
  const auto skipped = [&](const std::string& description, std::uint8_t first, const Bytes& chain) {
    table.push_back(to_ipv4("G12", description, s, with(first, chain, segment), packet(in4(s), segment)));
  };
  skipped("hop-by-hop options", 0, Bytes{17, 0} + kPad);
  skipped("destination options", 60, Bytes{17, 0} + kPad);
  skipped("sixteen bytes of destination options", 60, Bytes{17, 1, 1, 12} + Bytes(12, 0));
  skipped("routing header with no segments left", 43, {17, 0, 0, 0, 0, 0, 0, 0});
  skipped("hop-by-hop, routing and destination options", 0,
          Bytes{43, 0} + kPad + Bytes{60, 0, 0, 0, 0, 0, 0, 0} + Bytes{17, 0} + kPad);
  for (const int count : {9, 15}) {
    table.push_back(to_ipv4("G12", std::to_string(count) + " extension headers", s, with(60, options(count), segment),
                            packet(in4(s), segment)));
  }
  {
    const auto echo4 = icmp4(0, 0, 0x00010002, counting(40)), echo6 = icmp6(129, 0, 0x00010002, counting(40));
    table.push_back(to_ipv4("G12", "echo reply behind hop-by-hop options", s, with(0, Bytes{58, 0} + kPad, echo6),
                            packet(in4(s), echo4)));
  }
  {
    // 40 + 8 + 20 + 1220 are 1288 bytes; without the 28 of the headers 1260.
    const auto large = tcp(counting(1220));
    table.push_back(to_ipv4("G13", "result 1260 behind options may be fragmented", s,
                            with(60, Bytes{6, 0} + kPad, large), packet(in4(s), large)));
    const auto larger = tcp(counting(1221));
    auto four = in4(s);
    four.df = true;
    table.push_back(to_ipv4("G13", "result 1261 behind options may not", s, with(60, Bytes{6, 0} + kPad, larger),
                            packet(four, larger)));
  }
  table.push_back(trailed(to_ipv4("G19", "bytes behind payload length of a packet with options", s,
                                  with(60, Bytes{17, 0} + kPad, segment), packet(in4(s), segment))));
}

void add_refused_headers(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto segment = udp(counting(40));
  const auto dropped = [&](const char* id, const std::string& description, std::uint8_t first, const Bytes& chain,
                           Verdict verdict) {
    table.push_back(drop4(id, description, s, with(first, chain, segment), verdict));
  };
  // The pointer is where Segments Left stands.
  const auto refused = [&](const std::string& description, std::uint8_t first, const Bytes& chain, std::uint32_t at) {
    table.push_back(
        answered(drop4("G14", description, s, with(first, chain, segment), Verdict::routing_header), s, {4, 0, at}));
  };
  refused("routing header behind others with all segments left", 0,
          Bytes{60, 0} + kPad + Bytes{43, 1, 1, 12} + Bytes(12, 0) + Bytes{17, 0, 0, 255, 0, 0, 0, 0}, 40 + 8 + 16 + 3);
  for (const std::uint8_t type : {std::uint8_t{0}, std::uint8_t{2}, std::uint8_t{4}}) {
    refused("routing type " + std::to_string(type) + " with a segment left", 43,
            Bytes{17, 2, type, 1, 0, 0, 0, 0} + Bytes(16, 0x20), 40 + 3);
  }
  dropped("G18", "twenty-one extension headers", 60, options(21), Verdict::bad_extension);
  dropped("G18", "extension header beyond the packet", 60, Bytes{17, 255} + kPad, Verdict::bad_extension);
  for (const std::size_t size : {0U, 1U, 7U}) {
    table.push_back(drop4("G18", "extension header of " + std::to_string(size) + " bytes", s,
                          packet(in6(s), raw(60, Bytes(size, 0))), Verdict::bad_extension));
  }
}

}  // namespace

void add_extension_headers(std::vector<Vector>& table) {
  add_skipped_headers(table);
  add_refused_headers(table);
}

}  // namespace clat::test
