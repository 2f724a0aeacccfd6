// RFC 7915 §4.1, §5.1.1: fragments one by one.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

// The transport checksum covers the whole datagram, so each side's piece is cut from that side's own.
Bytes piece4(Ip4 header, const Segment& whole, const Cut& cut, std::uint16_t id) {
  header.id = id;
  header.mf = cut.more;
  header.offset = static_cast<std::uint16_t>(cut.from);
  return packet(header, piece(header, whole, cut.from, cut.size));
}
Bytes piece6(Ip6 header, const Segment& whole, const Cut& cut, std::uint32_t id, std::uint8_t reserved) {
  header.chain_first = 44;
  header.chain = fragment_header(whole.protocol, static_cast<std::uint16_t>(cut.from), cut.more, id, reserved);
  return packet(header, piece(header, whole, cut.from, cut.size));
}

namespace {

constexpr std::uint32_t kId = kFragmentId;

void add_cuts(std::vector<Vector>& table, const Scene& s) {
  const struct {
    const char *name, *out, *in;
    Cut cut;
  } cuts[] = {{"first", "B3", "H2", {0, 64, true}},
              {"middle", "B4", "H1", {64, 128, true}},
              {"last", "D7", "H1", {192, 17, false}}};
  for (const auto& segment : {udp(counting(201)), tcp(counting(189)), raw(50, counting(209))}) {
    for (const auto& [name, out, in, cut] : cuts) {
      const auto text = std::string(name) + " fragment of protocol " + std::to_string(segment.protocol) + " " + s.name;
      auto df = out4(s);
      df.df = true;
      table.push_back(to_ipv6(segment.checksum_at ? out : "B1", text, s, piece4(out4(s), segment, cut),
                              piece6(out6(s), segment, cut, kId)));
      table.push_back(
          to_ipv6("B2", text + " with df", s, piece4(df, segment, cut), piece6(out6(s), segment, cut, kId)));
      table.push_back(exact(to_ipv4(segment.checksum_at ? in : "H1", text, s,
                                    piece6(in6(s), segment, cut, 0xabcd0000U | kId), piece4(in4(s), segment, cut))));
    }
  }
}

// The last tells how long the message is, so the programs leave all to clatd. Each row is a datagram of its own: one
// translator may see them all.
void add_echoes(std::vector<Vector>& table, const Scene& s, std::uint16_t& id) {
  const auto row = [&](Vector vector) {
    table.push_back(on(FastPath::punts, exact(std::move(vector))));
    ++id;
  };
  const auto four = icmp4(8, 0, 0x70001, counting(201)), six = icmp6(128, 0, 0x70001, counting(201));
  const struct {
    std::string name;
    Cut cut;
  } cuts[] = {{"middle fragment of an echo ", {64, 128, true}}, {"last fragment of an echo ", {192, 17, false}}};
  for (const auto& [name, cut] : cuts) {
    row(to_ipv6("B10", name + s.name, s, piece4(out4(s), four, cut, id), piece6(out6(s), six, cut, id)));
    row(to_ipv4("H7", name + s.name, s, piece6(in6(s), six, cut, 0xabcd0000U | id), piece4(in4(s), four, cut, id)));
  }
  for (const bool request : {true, false}) {
    const auto name = std::string("first fragment of an echo ") + (request ? "request " : "reply ") + s.name;
    const auto out = icmp4(request ? 8 : 0, 0, 7, counting(201)), in = icmp6(request ? 128 : 129, 0, 7, counting(201));
    const Cut first{0, 64, true};
    row(drop6("B10", name, s, piece4(out4(s), out, first, id), Verdict::held));
    row(drop4("H7", name, s, piece6(in6(s), in, first, id), Verdict::held));
  }
}

// A slot holds 1984 bytes.
void add_large_echoes(std::vector<Vector>& table, std::uint16_t& id) {
  const Scene& s = operators96();
  const auto four = icmp4(8, 0, 7, counting(3000)), six = icmp6(128, 0, 7, counting(3000));
  const auto out = [&](std::size_t size) { return piece4(out4(s), four, {0, size, true}, id++); };
  const auto in = [&](std::size_t size) { return piece6(in6(s), six, {0, size, true}, id++); };
  table.push_back(
      on(FastPath::punts, drop6("B10", "first fragment of an echo, 1980 bytes", s, out(1960), Verdict::held)));
  table.push_back(answered(drop6("B10", "first fragment of an echo, 1988 bytes", s, out(1968), Verdict::icmp_fragment),
                           s, {3, 13}));
  table.push_back(
      on(FastPath::punts, drop4("H7", "first fragment of an echo, 1984 bytes", s, in(1936), Verdict::held)));
  table.push_back(drop4("H7", "first fragment of an echo, 1992 bytes", s, in(1944), Verdict::icmp_fragment));
  table.push_back(drop6("B10", "first fragment of icmp without a byte", s, out(0), Verdict::icmp_fragment));
  table.push_back(drop4("H7", "first fragment of icmpv6 without a byte", s, in(0), Verdict::icmp_fragment));
}

// RFC 1858, RFC 3128: pieces that would write over the transport header that the first one must hold.
std::vector<std::pair<Segment, std::size_t>> tiny_fragments() {
  return {{tcp(counting(60)), 8}, {tcp(counting(60)), 16}, {raw(33, counting(80)), 8}};
}

void add_fragments_to_ipv6(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const Cut first{0, 64, true}, last{64, 16, false};
  {
    auto four = out4(s);
    four.options = Bytes(8, 1);
    const auto segment = udp(counting(72));
    table.push_back(
        to_ipv6("B5", "fragment with options", s, piece4(four, segment, first), piece6(out6(s), segment, first, kId)));
  }
  const auto unsummed = udp(counting(72), Sum::none);
  table.push_back(drop6("B8", "first fragment of udp without checksum", s, piece4(out4(s), unsummed, first),
                        Verdict::udp_zero_checksum));
  table.push_back(to_ipv6("B9", "last fragment of udp without checksum", s, piece4(out4(s), unsummed, last),
                          piece6(out6(s), unsummed, last, kId)));
  table.push_back(drop6("B11", "eight bytes of tcp as first fragment", s,
                        piece4(out4(s), tcp(counting(60)), {0, 8, true}), Verdict::bad_transport));
  table.push_back(drop6("B11", "first fragment of 60 bytes", s, piece4(out4(s), udp(counting(72)), {0, 60, true}),
                        Verdict::bad_fragment));
  const Cut overlapping{56, 24, false};
  const auto whole = udp(counting(72));
  table.push_back(to_ipv6("B11", "fragment that overlaps others", s, piece4(out4(s), whole, overlapping),
                          piece6(out6(s), whole, overlapping, kId)));
  for (const auto& [tiny, at] : tiny_fragments()) {
    const auto text = "fragment at " + std::to_string(at) + " of protocol " + std::to_string(tiny.protocol);
    table.push_back(drop6("B11", text, s, piece4(out4(s), tiny, {at, 8, true}), Verdict::bad_fragment));
  }
  table.push_back(trailed(to_ipv6("M2", "bytes behind total length of a fragment", s, piece4(out4(s), whole, last),
                                  piece6(out6(s), whole, last, kId))));
  auto far = out4(s);
  far.offset = 65528;
  table.push_back(
      drop6("B11", "fragment that ends behind 65535", s, packet(far, raw(17, counting(100))), Verdict::bad_fragment));
}

void add_fragments_to_ipv4(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const Cut first{0, 64, true}, last{64, 16, false};
  const auto segment = udp(counting(72));
  {
    const auto large = tcp(counting(2000));
    const Cut cut{0, 1400, true};
    table.push_back(exact(to_ipv4("H1", "fragment of 1420 bytes may be fragmented", s, piece6(in6(s), large, cut, kId),
                                  piece4(in4(s), large, cut))));
  }
  table.push_back(exact(trailed(to_ipv4("G19", "bytes behind payload length of a fragment", s,
                                        piece6(in6(s), segment, last, kId), piece4(in4(s), segment, last)))));
  const auto atomic = [&](const std::string& description, const Segment& six, const Segment& four) {
    const Cut whole{0, six.bytes.size(), false};
    table.push_back(exact(
        to_ipv4("H3", description, s, piece6(in6(s), six, whole, 0x12340000U | kId), piece4(in4(s), four, whole))));
  };
  atomic("atomic fragment of udp", segment, segment);
  atomic("atomic fragment of 1420 bytes", tcp(counting(1380)), tcp(counting(1380)));
  atomic("atomic fragment of an echo", icmp6(129, 0, 1, counting(9)), icmp4(0, 0, 1, counting(9)));
  table.push_back(exact(
      to_ipv4("H4", "reserved bits", s, piece6(in6(s), segment, first, kId, 0xff), piece4(in4(s), segment, first))));
  {
    auto six = in6(s);
    six.chain_first = 0;
    six.chain = Bytes{44, 0, 1, 4, 0, 0, 0, 0} + fragment_header(17, 0, true, kId);
    table.push_back(exact(to_ipv4("H5", "behind hop-by-hop options", s, packet(six, piece(six, segment, 0, 64)),
                                  piece4(in4(s), segment, first))));
  }
  for (const std::uint8_t next :
       {std::uint8_t{0}, std::uint8_t{43}, std::uint8_t{44}, std::uint8_t{51}, std::uint8_t{60}}) {
    table.push_back(drop4("H6", "extension header " + std::to_string(next) + " in a fragment", s,
                          piece6(in6(s), raw(next, counting(64)), {0, 64, true}, kId), Verdict::hidden_extension));
  }
  const auto esp = raw(50, counting(80));
  table.push_back(
      exact(to_ipv4("H6", "esp in a fragment", s, piece6(in6(s), esp, first, kId), piece4(in4(s), esp, first))));
  table.push_back(drop4("H8", "fragment of 60 bytes with more to come", s, piece6(in6(s), segment, {0, 60, true}, kId),
                        Verdict::bad_fragment));
  table.push_back(drop4("H8", "fragment that ends behind 65535", s,
                        piece6(in6(s), raw(17, Bytes(65528 + 100)), {65528, 100, false}, kId), Verdict::bad_fragment));
  // Pieces that overlap or come alone are put together, or refused, by the receiver (RFC 5722), not on the way.
  const Cut overlapping{56, 24, false};
  table.push_back(exact(to_ipv4("H8", "fragment that overlaps others", s, piece6(in6(s), segment, overlapping, kId),
                                piece4(in4(s), segment, overlapping))));
  for (const auto& [whole, at] : tiny_fragments()) {
    const auto text = "fragment at " + std::to_string(at) + " of protocol " + std::to_string(whole.protocol);
    table.push_back(drop4("H8", text, s, piece6(in6(s), whole, {at, 8, true}, kId), Verdict::bad_fragment));
  }
  table.push_back(
      drop4("H8", "cut fragment header", s, packet(in6(s), raw(44, {17, 0, 0, 1})), Verdict::bad_extension));
}

}  // namespace

void add_fragments(std::vector<Vector>& table) {
  for (const auto* s : {&neutral(), &operators96(), &scenes()[3]}) add_cuts(table, *s);
  std::uint16_t id = 1;
  for (const auto& s : scenes()) add_echoes(table, s, id);
  add_large_echoes(table, id);
  add_fragments_to_ipv6(table);
  add_fragments_to_ipv4(table);
}

}  // namespace clat::test
