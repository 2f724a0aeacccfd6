// RFC 7915 §4.5, §5.5: transport checksums; §4.2, §5.2: echo.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

namespace {

struct Ids {
  const char *out, *in;
};
void add_both(std::vector<Vector>& table, const Ids& id, const std::string& description, const Scene& scene,
              const Segment& four, const Segment& six) {
  table.push_back(
      to_ipv6(id.out, description + " out " + scene.name, scene, packet(out4(scene), four), packet(out6(scene), six)));
  table.push_back(
      to_ipv4(id.in, description + " in " + scene.name, scene, packet(in6(scene), six), packet(in4(scene), four)));
}
void add_both(std::vector<Vector>& table, const char* id, const std::string& description, const Scene& scene,
              const Segment& segment) {
  add_both(table, {id, id}, description, scene, segment, segment);
}

// A UDP payload of 4 bytes that brings the checksum of the whole to 0, which is sent as 0xffff.
Segment udp_summing_to_zero(const Bytes& finished, std::size_t checksum_at) {
  const unsigned checksum = finished.at(checksum_at) * 256U + finished.at(checksum_at + 1);
  // The last word was 0: putting the checksum there adds it to the sum, which then is all ones.
  return udp({0, 0, static_cast<std::uint8_t>(checksum >> 8), static_cast<std::uint8_t>(checksum)});
}

void add_checksums(std::vector<Vector>& table) {
  for (const auto& scene : scenes()) {
    add_both(table, "D1", "udp", scene, udp(counting(33)));
    add_both(table, "D1", "tcp", scene, tcp(counting(61), Sum::right, {40000, 443}));
    add_both(table, "D1", "tcp syn without payload", scene, tcp({}, Sum::right, {40000, 443}, 0x02));
    add_both(table, "D5", "wrong udp checksum stays wrong", scene, udp(counting(33), Sum::wrong));
    add_both(table, "D5", "wrong tcp checksum stays wrong", scene, tcp(counting(33), Sum::wrong));

    const auto out = udp_summing_to_zero(packet(out6(scene), udp({0, 0, 0, 0})), 46);
    table.push_back(to_ipv6("D3", "udp checksum of 0 is sent as ffff, out " + scene.name, scene,
                            packet(out4(scene), out), packet(out6(scene), out)));
    const auto in = udp_summing_to_zero(packet(in4(scene), udp({0, 0, 0, 0})), 26);
    table.push_back(to_ipv4("D3", "udp checksum of 0 is sent as ffff, in " + scene.name, scene, packet(in6(scene), in),
                            packet(in4(scene), in)));

    auto unsummed = out;
    unsummed.sum = Sum::none;
    table.push_back(to_ipv6("D3", "computed udp checksum of 0 is sent as ffff " + scene.name, scene,
                            packet(out4(scene), unsummed), packet(out6(scene), out)));

    for (const std::size_t size : {0U, 1U, 32U, 1400U}) {
      table.push_back(to_ipv6("D2", "udp checksum 0 computed over " + std::to_string(size) + " bytes " + scene.name,
                              scene, packet(out4(scene), udp(counting(size), Sum::none)),
                              packet(out6(scene), udp(counting(size)))));
    }
  }
  const Scene& s = operators96();
  {
    // An IPv6 sender of such a packet wants no checksum (RFC 6935); IPv4 says that with the same 0.
    table.push_back(to_ipv4("D4", "udp checksum 0 stays 0", s, packet(in6(s), udp(counting(33), Sum::none)),
                            packet(in4(s), udp(counting(33), Sum::none))));
  }
}

void add_echo(std::vector<Vector>& table) {
  constexpr std::uint32_t kIdAndSequence = 0xcafe0001;
  for (const auto& scene : scenes()) {
    for (const std::size_t size : {0U, 1U, 56U}) {
      const auto data = counting(size, 0x10);
      const auto bytes = std::to_string(size) + " bytes";
      add_both(table, {"E1", "I1"}, "echo request " + bytes, scene, icmp4(8, 0, kIdAndSequence, data),
               icmp6(128, 0, kIdAndSequence, data));
      add_both(table, {"E1", "I1"}, "echo reply " + bytes, scene, icmp4(0, 0, kIdAndSequence, data),
               icmp6(129, 0, kIdAndSequence, data));
    }
    add_both(table, {"D5", "D5"}, "wrong icmp checksum stays wrong", scene,
             icmp4(8, 0, kIdAndSequence, counting(8), Sum::wrong),
             icmp6(128, 0, kIdAndSequence, counting(8), Sum::wrong));
  }
}

void add_untranslatable(std::vector<Vector>& table) {
  const Scene& s = neutral();
  for (const unsigned type : {1U, 4U, 5U, 6U, 9U, 10U, 13U, 14U, 15U, 16U, 17U, 18U, 19U, 30U, 40U, 42U, 43U, 255U}) {
    table.push_back(drop6("E2", "icmp type " + std::to_string(type), s,
                          packet(out4(s), icmp4(static_cast<std::uint8_t>(type), 0, 0, counting(32))),
                          Verdict::icmp_type));
  }
  for (const unsigned type : {0U,   5U,   100U, 127U, 130U, 131U, 132U, 133U, 134U, 135U, 136U, 137U,
                              138U, 139U, 140U, 141U, 143U, 144U, 151U, 160U, 161U, 200U, 255U}) {
    table.push_back(drop4("I2", "icmpv6 type " + std::to_string(type), s,
                          packet(in6(s), icmp6(static_cast<std::uint8_t>(type), 0, 0, counting(32))),
                          Verdict::icmp_type));
  }
  for (std::size_t size = 1; size < 8; ++size) {
    table.push_back(drop6("E19", "icmp of " + std::to_string(size) + " bytes", s,
                          packet(out4(s), raw(1, Bytes(size, 8))), Verdict::bad_transport));
    table.push_back(drop4("I17", "icmpv6 of " + std::to_string(size) + " bytes", s,
                          packet(in6(s), raw(58, Bytes(size, 128))), Verdict::bad_transport));
  }
  // ICMP's number over the other family has no meaning there.
  table.push_back(drop6("A4", "protocol 58 over ipv4", s, packet(out4(s), raw(58, counting(16))), Verdict::protocol));
  table.push_back(drop4("G16", "next header 1 over ipv6", s, packet(in6(s), raw(1, counting(16))), Verdict::protocol));
  table.push_back(drop6("E3", "igmp", s, packet(out4(s), raw(2, counting(8))), Verdict::protocol));
}

}  // namespace

void add_transport(std::vector<Vector>& table) {
  add_checksums(table);
  add_echo(table);
  add_untranslatable(table);
}

}  // namespace clat::test
