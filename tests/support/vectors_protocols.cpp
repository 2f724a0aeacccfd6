// RFC 7915 §4.1, §5.1: every other protocol is carried as it is, checksums of those with a pseudo-header apart.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

void add_protocols(std::vector<Vector>& table) {
  const auto both = [&](const char* id, const std::string& description, const Scene& s, const Segment& segment) {
    table.push_back(to_ipv6(id, description + " out " + s.name, s, packet(out4(s), segment), packet(out6(s), segment)));
    table.push_back(to_ipv4(id, description + " in " + s.name, s, packet(in6(s), segment), packet(in4(s), segment)));
  };
  for (const auto* s : {&neutral(), &operators96()}) {
    // IPv4 and IPv6 in IP, GRE, ESP, AH, no next header, EIGRP, L2TP, SCTP, Mobility, HIP, Shim6, experiments.
    for (const unsigned protocol : {4U, 41U, 47U, 50U, 51U, 59U, 88U, 115U, 132U, 135U, 139U, 140U, 253U, 255U}) {
      both(protocol == 59 || protocol == 51 ? "G16" : "A4", "protocol " + std::to_string(protocol), *s,
           raw(static_cast<std::uint8_t>(protocol), counting(50)));
    }
    both("A4", "protocol 50 without a byte", *s, raw(50, {}));

    both("D6", "udp-lite", *s, udp_lite(counting(21)));
    both("D6", "udp-lite with a wrong checksum", *s, udp_lite(counting(21), Sum::wrong));
    both("D6", "dccp", *s, dccp(counting(21)));
  }
  const Scene& s = neutral();
  const auto esp = raw(50, counting(50));
  table.push_back(trailed(
      to_ipv6("M2", "bytes behind total length of protocol 50", s, packet(out4(s), esp), packet(out6(s), esp))));
  table.push_back(trailed(
      to_ipv4("G19", "bytes behind payload length of protocol 50", s, packet(in6(s), esp), packet(in4(s), esp))));
  for (const unsigned protocol : {0U, 43U, 44U, 60U}) {
    // Behind an IPv6 header these numbers would have another meaning.
    table.push_back(drop6("A4", "protocol " + std::to_string(protocol) + " is an extension header in ipv6", s,
                          packet(out4(s), raw(static_cast<std::uint8_t>(protocol), counting(32))), Verdict::protocol));
  }
}

}  // namespace clat::test
