// Checklist D8: super-packets and unfinished checksums, kept so across the translation.
#include <array>

#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;
using xlat::VnetHeader;

namespace {

struct Offload {
  std::uint8_t type4, type6;
  std::uint16_t segment_size;
  std::uint16_t checksum_offset;
  std::uint16_t header_length4 = 0;  // 0: unset
};

VnetHeader on_ipv4(const Offload& o) {
  return {VnetHeader::kNeedsChecksum, o.type4, o.header_length4, o.segment_size, 20, o.checksum_offset};
}
VnetHeader on_ipv6(const Offload& o) {
  const auto length = static_cast<std::uint16_t>(o.header_length4 == 0 ? 0 : o.header_length4 + 20);
  return {VnetHeader::kNeedsChecksum, o.type6, length, o.segment_size, 40, o.checksum_offset};
}

void add_both(std::vector<Vector>& table, const std::string& description, const Scene& scene, const Segment& segment,
              const Offload& offload, bool df) {
  auto four_out = out4(scene);
  four_out.df = df;
  auto out =
      to_ipv6("D8", description + " out " + scene.name, scene, packet(four_out, segment), packet(out6(scene), segment));
  out.vnet = on_ipv4(offload);
  out.expected_vnet = on_ipv6(offload);
  table.push_back(out);

  auto four_in = in4(scene);
  four_in.df = df;
  auto in =
      to_ipv4("D8", description + " in " + scene.name, scene, packet(in6(scene), segment), packet(four_in, segment));
  in.vnet = on_ipv6(offload);
  in.expected_vnet = on_ipv4(offload);
  table.push_back(in);
}

// A UDP tunnel whose inner packet's checksum is unfinished. The outer checksum is whole, and right for the packet as it
// will be when the inner one has been filled in.
void add_tunnels(std::vector<Vector>& table, const Scene& s) {
  const Ip4 inner{.source = "10.0.0.1", .destination = "10.0.0.2"};
  const auto payload = [&](Sum sum) { return counting(8, 0x40) + packet(inner, udp(counting(31), sum)); };
  const auto finished = payload(Sum::right), unfinished = payload(Sum::partial);
  const auto unfinish = [&](Bytes outer) {
    outer.resize(outer.size() - unfinished.size());
    return outer + unfinished;
  };
  const VnetHeader four{1, 0, 0, 0, 20 + 8 + 8 + 20, 6}, six{1, 0, 0, 0, 40 + 8 + 8 + 20, 6};
  const auto out = unfinish(packet(out6(s), udp(finished)));
  for (const bool summed : {true, false}) {
    auto input = unfinish(packet(out4(s), udp(finished, summed ? Sum::right : Sum::none)));
    const auto* outer =
        summed ? "tunnel with checksum, inner one partial, out " : "tunnel without checksum, inner one partial, out ";
    auto vector =
        on(summed ? FastPath::translates : FastPath::punts, to_ipv6("D8", outer + s.name, s, std::move(input), out));
    vector.vnet = four;
    vector.expected_vnet = six;
    table.push_back(vector);
  }
  auto vector = to_ipv4("D8", "tunnel with checksum, inner one partial, in " + s.name, s,
                        unfinish(packet(in6(s), udp(finished))), unfinish(packet(in4(s), udp(finished))));
  vector.vnet = six;
  vector.expected_vnet = four;
  table.push_back(vector);
}

void add_misfits(std::vector<Vector>& table) {
  const Scene& s = neutral();
  const auto bad6 = [&](const char* description, const Segment& segment, const VnetHeader& vnet) {
    auto vector = drop6("D8", description, s, packet(out4(s), segment), Verdict::bad_offload);
    vector.vnet = vnet;
    table.push_back(vector);
  };
  bad6("tcp6 segmentation on ipv4", tcp(counting(3000), Sum::partial), {1, 4, 0, 1400, 20, 16});
  bad6("tcp segmentation on udp", udp(counting(3000), Sum::partial), {1, 1, 0, 1400, 20, 6});
  bad6("udp segmentation on tcp", tcp(counting(3000), Sum::partial), {1, 5, 0, 1400, 20, 16});
  bad6("segment size 0", tcp(counting(3000), Sum::partial), {1, 1, 0, 0, 20, 16});
  bad6("unknown segmentation", tcp(counting(3000), Sum::partial), {1, 2, 0, 1400, 20, 16});
  bad6("checksum field beyond the packet", tcp(counting(30), Sum::partial), {1, 0, 0, 0, 60, 16});
  bad6("checksum start inside the ip header", tcp(counting(30), Sum::partial), {1, 0, 0, 0, 10, 16});
  bad6("checksum offset of another protocol", tcp(counting(30), Sum::partial), {1, 0, 0, 0, 20, 6});
  auto vector = drop4("D8", "tcp4 segmentation on ipv6", s, packet(in6(s), tcp(counting(3000), Sum::partial)),
                      Verdict::bad_offload);
  vector.vnet = {1, 1, 0, 1400, 40, 16};
  table.push_back(vector);
}

// Whoever cuts a UDP super-packet writes the checksum of each segment from the unfinished one; the length field says
// nothing. Summing by it would read beyond the packet.
void add_finished_super_packets(std::vector<Vector>& table) {
  const Scene& s = neutral();
  const VnetHeader finished{0, 5, 0, 1400, 0, 0};
  const auto add = [&](Vector vector, const VnetHeader& vnet) {
    vector.vnet = vnet;
    table.push_back(std::move(vector));
  };
  constexpr std::array kLengths{std::uint16_t{0}, std::uint16_t{1408}, std::uint16_t{3008}, std::uint16_t{0xffff}};
  for (const auto length : kLengths) {
    const auto what = " udp super-packet of length " + std::to_string(length);
    const auto unsummed = udp(counting(3000), Sum::none, {}, length);
    add(drop6("D8", "unsummed" + what, s, packet(out4(s), unsummed), Verdict::bad_offload), finished);
    add(drop4("D8", "unsummed" + what + " in", s, packet(in6(s), unsummed), Verdict::bad_offload), finished);
    const auto summed = udp(counting(3000), Sum::right, {}, length);
    add(drop6("D8", "summed" + what, s, packet(out4(s), summed), Verdict::bad_offload), finished);
  }
  add(drop6("D8", "unsummed udp super-packet of one segment", s, packet(out4(s), udp(counting(30), Sum::none)),
            Verdict::bad_offload),
      finished);
  add(drop6("D8", "unsummed udp super-packet around a partial checksum", s,
            packet(out4(s), udp(counting(3000), Sum::none, {}, 0xffff)), Verdict::bad_offload),
      {1, 5, 0, 1400, 20 + 8 + 20, 6});
}

}  // namespace

void add_offloads(std::vector<Vector>& table) {
  for (const auto* scene : {&neutral(), &operators96(), &scenes()[4]}) {
    add_both(table, "tcp with partial checksum", *scene, tcp(counting(100), Sum::partial), {0, 0, 0, 16}, false);
    add_both(table, "tcp syn with partial checksum and header length", *scene, tcp({}, Sum::partial, {}, 2),
             {0, 0, 0, 16, 40}, false);
    add_both(table, "udp with partial checksum", *scene, udp(counting(100), Sum::partial), {0, 0, 0, 6}, false);
    add_both(table, "tcp super-packet", *scene, tcp(counting(8000), Sum::partial), {1, 4, 1400, 16}, true);
    add_both(table, "tcp super-packet with header length", *scene, tcp(counting(8000), Sum::partial),
             {1, 4, 1400, 16, 40}, true);
    add_both(table, "tcp super-packet with ecn", *scene, tcp(counting(8000), Sum::partial, {}, 0x90),
             {0x81, 0x84, 1400, 16}, true);
    add_both(table, "udp super-packet", *scene, udp(counting(5000), Sum::partial), {5, 5, 1400, 6}, true);
    // RFC 7915 §5.1 looks at what goes over the wire: headers and one segment. 40 + 1220 = 1260.
    add_both(table, "tcp super-packet of segments that make 1260", *scene, tcp(counting(8000), Sum::partial),
             {1, 4, 1220, 16}, false);
    add_both(table, "tcp super-packet of segments that make 1261", *scene, tcp(counting(8000), Sum::partial),
             {1, 4, 1221, 16}, true);
    add_both(table, "tcp super-packet as long as can be", *scene, tcp(counting(65535 - 40), Sum::partial),
             {1, 4, 1400, 16}, true);
  }
  add_tunnels(table, neutral());
  add_tunnels(table, operators96());
  add_misfits(table);
  add_finished_super_packets(table);
}

}  // namespace clat::test
