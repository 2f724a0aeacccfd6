// RFC 7915 §4.1: packets with DF=0 that become too large are fragmented.
#include <tuple>

#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Mtus;
using xlat::VnetHeader;

namespace {

constexpr std::size_t kHeaders = 40 + 8;  // IPv6 and Fragment Header

// Bytes `from` to `end` of a datagram in packets of at most `mtu`, every piece but the last a multiple of 8.
std::vector<Bytes> pieces6(const Ip6& header, const Segment& whole, const Cut& range, std::uint16_t mtu,
                           std::uint32_t id = kFragmentId) {
  const std::size_t step = (mtu - kHeaders) / 8 * 8;
  std::vector<Bytes> pieces;
  for (std::size_t done = 0; done < range.size; done += step) {
    const auto size = std::min(step, range.size - done);
    const bool last = done + size == range.size;
    pieces.push_back(piece6(header, whole, {range.from + done, size, !last || range.more}, id));
  }
  return pieces;
}

Vector fragmented(const char* id, std::string description, const Scene& s, Bytes input, std::vector<Bytes> pieces,
                  const Mtus& mtus) {
  auto vector = to_ipv6(id, std::move(description), s, std::move(input), {});
  vector.expected = std::move(pieces);
  return on(FastPath::punts, with_mtus(std::move(vector), mtus));
}

Bytes with_id(Ip4 header, const Segment& segment) {
  header.id = kFragmentId;
  return packet(header, segment);
}

void add_datagrams(std::vector<Vector>& table) {
  const auto add = [&](const char* id, const std::string& text, const Scene& s, const Segment& four, const Segment& six,
                       const Mtus& mtus, std::uint16_t limit) {
    table.push_back(fragmented(id, text + " " + s.name, s, with_id(out4(s), four),
                               pieces6(out6(s), six, {0, six.bytes.size(), false}, limit), mtus));
  };
  const Mtus lowest1280{.lowest_ipv6 = 1280};
  for (const auto& s : scenes()) {
    const auto datagram = udp(counting(1472));
    add("A14", "udp of 1500 bytes", s, datagram, datagram, lowest1280, 1280);
    add("D2", "udp of 1500 bytes without checksum in fragments", s, udp(counting(1472), Sum::none), datagram,
        lowest1280, 1280);
    add("A18", "echo request of 1500 bytes", s, icmp4(8, 0, 7, counting(1472)), icmp6(128, 0, 7, counting(1472)),
        lowest1280, 1280);
  }
  const Scene& s = operators96();
  const auto one = [&](const std::string& text, const Segment& segment, const Mtus& mtus, std::uint16_t limit) {
    add("A14", text, s, segment, segment, mtus, limit);
  };
  one("tcp of 1500 bytes", tcp(counting(1460)), lowest1280, 1280);
  one("protocol 50 of 1500 bytes", raw(50, counting(1480)), lowest1280, 1280);
  one("result of 1281 bytes", udp(counting(1281 - 48)), lowest1280, 1280);
  one("result of 1281 bytes, odd threshold", udp(counting(1300)), {.lowest_ipv6 = 1287}, 1287);
  one("mtu of 1400", udp(counting(1472)), {.ipv6 = 1400, .lowest_ipv6 = 1400}, 1400);
  one("mtu of 1400 below lowest-ipv6-mtu", udp(counting(1472)), {.ipv6 = 1400, .lowest_ipv6 = 1500}, 1400);
  one("mtu of 1500", udp(counting(1472)), {}, 1500);
  one("mtu of 9000", udp(counting(8992)), {.ipv6 = 9000, .lowest_ipv6 = 9000}, 9000);
  one("as long as can be", udp(counting(65535 - 28)), lowest1280, 1280);
  table.push_back(with_mtus(to_ipv6("A12", "df 0 and result of lowest-ipv6-mtu", s,
                                    with_id(out4(s), udp(counting(1232))), packet(out6(s), udp(counting(1232)))),
                            lowest1280));
  // A15: the threshold is the administrator's.
  table.push_back(with_mtus(to_ipv6("A15", "df 0 and result of a raised lowest-ipv6-mtu", s,
                                    with_id(out4(s), udp(counting(1352))), packet(out6(s), udp(counting(1352)))),
                            {.lowest_ipv6 = 1400}));
  const auto echo4 = icmp4(0, 0, 7, counting(4000)), echo6 = icmp6(129, 0, 7, counting(4000));
  add("A18", "echo reply of 4000 bytes", s, echo4, echo6, {}, 1500);
  {
    const auto segment = udp(counting(1440));  // room for options and trailing bytes on a link of 1500
    table.push_back(fragmented("A19", "identification 0 is common to all", s, packet(out4(s), segment),
                               pieces6(out6(s), segment, {0, segment.bytes.size(), false}, 1280, 0), lowest1280));
    auto four = out4(s);
    auto six = out6(s);
    four.tos = six.traffic_class = 0xb9;
    four.options = Bytes(12, 1);
    four.reserved = true;
    table.push_back(fragmented("A14", "options, tos and reserved flag", s, with_id(four, segment),
                               pieces6(six, segment, {0, segment.bytes.size(), false}, 1280), lowest1280));
    table.push_back(
        trailed(fragmented("M2", "bytes behind total length are not in the fragments", s, with_id(out4(s), segment),
                           pieces6(out6(s), segment, {0, segment.bytes.size(), false}, 1280), lowest1280)));
    table.push_back(fragmented("D5", "wrong checksum stays wrong in fragments", s,
                               with_id(out4(s), udp(counting(1472), Sum::wrong)),
                               pieces6(out6(s), udp(counting(1472), Sum::wrong), {0, 1480, false}, 1280), lowest1280));
  }
}

// RFC 7915 §4.1: offsets go on from the fragment's own, and the last piece has its M flag.
void add_fragments_again(std::vector<Vector>& table) {
  const struct {
    const char* name;
    Cut cut;
  } cuts[] = {{"first", {0, 1480, true}}, {"middle", {1480, 1480, true}}, {"last", {2960, 1470, false}}};
  for (const auto* s : {&neutral(), &operators96()}) {
    for (const auto& whole : {udp(counting(4422)), tcp(counting(4410))}) {
      for (const auto& [name, cut] : cuts) {
        table.push_back(fragmented(
            "B6",
            std::string(name) + " fragment of protocol " + std::to_string(whole.protocol) + " cut again " + s->name, *s,
            piece4(out4(*s), whole, cut), pieces6(out6(*s), whole, cut, 1280), {.lowest_ipv6 = 1280}));
      }
    }
  }
  const Scene& s = operators96();
  const auto whole = udp(counting(4422));
  const Cut tight{1480, 1455, false}, fits{1480, 1452, false};
  table.push_back(fragmented("B6", "last fragment too long by its fragment header", s, piece4(out4(s), whole, tight),
                             pieces6(out6(s), whole, tight, 1500), {}));
  table.push_back(to_ipv6("B6", "last fragment that just fits", s, piece4(out4(s), whole, fits),
                          piece6(out6(s), whole, fits, kFragmentId)));
}

// What the kernel left unfinished is finished before it is cut. Whoever cuts TCP may make smaller segments as well;
// datagrams are what they are, and their Identifications count up from the first (as Linux would).
void add_offloads_in_fragments(std::vector<Vector>& table) {
  for (const auto* s : {&neutral(), &operators96()}) {
    for (const auto& [partial, whole, at] :
         {std::tuple{udp(counting(1472), Sum::partial), udp(counting(1472)), std::uint16_t{6}},
          std::tuple{tcp(counting(1460), Sum::partial), tcp(counting(1460)), std::uint16_t{16}}}) {
      auto vector = fragmented(
          "D8", "partial checksum of protocol " + std::to_string(whole.protocol) + " finished in fragments " + s->name,
          *s, with_id(out4(*s), partial), pieces6(out6(*s), whole, {0, whole.bytes.size(), false}, 1280),
          {.lowest_ipv6 = 1280});
      vector.vnet = {VnetHeader::kNeedsChecksum, 0, 0, 0, 20, at};
      table.push_back(vector);
    }
    const auto tcp_super = tcp(counting(8000), Sum::partial);
    for (const auto& [lowest, size] : {std::pair{1500U, std::uint16_t{1440}}, {1280U, std::uint16_t{1220}}}) {
      auto vector =
          fragmented("D8", "tcp super-packet of smaller segments for " + std::to_string(lowest) + " " + s->name, *s,
                     with_id(out4(*s), tcp_super), {packet(out6(*s), tcp_super)}, {.lowest_ipv6 = lowest});
      vector.vnet = {VnetHeader::kNeedsChecksum, VnetHeader::kGsoTcp4, 0, 1460, 20, 16};
      vector.expected_vnet = {VnetHeader::kNeedsChecksum, VnetHeader::kGsoTcp6, 0, size, 40, 16};
      table.push_back(vector);
    }
    std::vector<Bytes> pieces;
    for (const std::size_t at : {0U, 1472U}) {
      const auto datagram = udp(counting(1472, static_cast<std::uint8_t>(at)));
      for (auto& piece :
           pieces6(out6(*s), datagram, {0, 1480, false}, 1500, static_cast<std::uint32_t>(kFragmentId + at / 1472))) {
        pieces.push_back(std::move(piece));
      }
    }
    pieces.push_back(packet(out6(*s), udp(counting(56, static_cast<std::uint8_t>(2944)))));
    auto vector = fragmented("D8", "udp super-packet as datagrams in fragments " + s->name, *s,
                             with_id(out4(*s), udp(counting(3000), Sum::partial)), std::move(pieces), {});
    vector.vnet = {VnetHeader::kNeedsChecksum, VnetHeader::kGsoUdp, 0, 1472, 20, 6};
    table.push_back(vector);
  }
}

}  // namespace

void add_fragmenting(std::vector<Vector>& table) {
  add_datagrams(table);
  add_fragments_again(table);
  add_offloads_in_fragments(table);
}

}  // namespace clat::test
