// RFC 7915 §4.1, §4.4, §5.1, §5.4: what is dropped, and with which ICMP error of the translator's own.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Mtus;
using xlat::Verdict;
using xlat::VnetHeader;

namespace {

constexpr Icmp kExceeded4{11, 0}, kExceeded6{3, 0}, kProhibited4{3, 13};

Vector expired6(const char* id, std::string description, const Scene& s, Ip4 header, const Segment& segment) {
  header.ttl = 1;
  return drop6(id, std::move(description), s, packet(header, segment), Verdict::hop_limit_exceeded);
}
Vector expired4(const char* id, std::string description, const Scene& s, Ip6 header, const Segment& segment) {
  header.hop_limit = 1;
  return drop4(id, std::move(description), s, packet(header, segment), Verdict::hop_limit_exceeded);
}

void add_time_exceeded(std::vector<Vector>& table) {
  for (const auto& s : scenes()) {
    const auto segment = udp(counting(40));
    table.push_back(answered(expired6("A7", "time exceeded " + s.name, s, out4(s), segment), s, kExceeded4));
    table.push_back(answered(expired4("G8", "time exceeded " + s.name, s, in6(s), segment), s, kExceeded6));
  }
  const Scene& s = operators96();
  // RFC 1812 §4.3.2.3, RFC 4443 §2.4 (c): as much of the packet as fits into 576 and 1280 bytes.
  for (const std::size_t size : {548U, 549U, 1480U}) {
    const auto text = "time exceeded about " + std::to_string(size) + " bytes";
    table.push_back(answered(expired6("K4", text, s, out4(s), tcp(counting(size - 40))), s, kExceeded4));
  }
  for (const std::size_t size : {1232U, 1233U, 1500U}) {
    const auto text = "time exceeded about " + std::to_string(size) + " bytes";
    table.push_back(answered(expired4("K4", text, s, in6(s), tcp(counting(size - 60))), s, kExceeded6));
  }
  auto four = out4(s);
  four.tos = 0xb8;
  four.id = 0x1234;
  four.options = {7, 7, 4, 0, 0, 0, 0, 0};
  table.push_back(
      answered(expired6("K4", "options are quoted as they came", s, four, udp(counting(40))), s, kExceeded4));
  auto six = in6(s);
  six.traffic_class = 0xb8;
  six.flow_label = 0x54321;
  six.chain_first = 60;
  six.chain = {17, 0, 1, 4, 0, 0, 0, 0};
  table.push_back(
      answered(expired4("K4", "extension headers are quoted as they came", s, six, udp(counting(40))), s, kExceeded6));
  table.push_back(answered(trailed(expired6("K4", "bytes behind total length are not quoted", s, out4(s), udp({}))), s,
                           kExceeded4));
  table.push_back(answered(trailed(expired4("K4", "bytes behind payload length are not quoted", s, in6(s), udp({}))), s,
                           kExceeded6));
  table.push_back(
      answered(expired6("A7", "ttl 1 on an echo request", s, out4(s), icmp4(8, 0, 7, counting(8))), s, kExceeded4));
  table.push_back(
      answered(expired6("A7", "ttl 1 on an echo reply", s, out4(s), icmp4(0, 0, 7, counting(8))), s, kExceeded4));
  table.push_back(answered(expired4("G8", "hop limit 1 on an echo request", s, in6(s), icmp6(128, 0, 7, counting(8))),
                           s, kExceeded6));
  table.push_back(answered(expired4("G8", "hop limit 1 on an echo reply", s, in6(s), icmp6(129, 0, 7, counting(8))), s,
                           kExceeded6));
}

void add_fragments_expired(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto whole = udp(counting(72));
  const Cut first{0, 64, true}, last{64, 16, false};
  const auto cut4 = [&](const char* id, const char* text, const Cut& cut) {
    auto header = out4(s);
    header.ttl = 1;
    return drop6(id, text, s, piece4(header, whole, cut), Verdict::hop_limit_exceeded);
  };
  const auto cut6 = [&](const char* id, const char* text, const Cut& cut) {
    auto header = in6(s);
    header.hop_limit = 1;
    return drop4(id, text, s, piece6(header, whole, cut, kFragmentId), Verdict::hop_limit_exceeded);
  };
  table.push_back(answered(cut4("A7", "ttl 1 on a first fragment", first), s, kExceeded4));
  table.push_back(answered(cut6("G8", "hop limit 1 on a first fragment", first), s, kExceeded6));
  // RFC 1122 §3.2.2; over IPv6 one answer for a datagram is enough, too.
  table.push_back(cut4("K1", "no answer to ttl 1 on a later fragment", last));
  table.push_back(cut6("K2", "no answer to hop limit 1 on a later fragment", last));
}

// RFC 1122 §3.2.2, RFC 4443 §2.4 (e): never about an ICMP error. Of ICMP only echoes are answered: whatever else it may
// be is dropped silently all the same (RFC 7915 §4.2, §5.2).
void add_errors_unanswered(std::vector<Vector>& table) {
  const Scene& s = neutral();
  const auto in = from_peer(s, udp(counting(40)));
  const auto out = to_peer(s, udp(counting(40)));
  for (const std::uint8_t type : {std::uint8_t{3}, std::uint8_t{11}, std::uint8_t{12}, std::uint8_t{5}, std::uint8_t{4},
                                  std::uint8_t{13}, std::uint8_t{200}}) {
    table.push_back(
        expired6("A8", "ttl 1 on icmp type " + std::to_string(type), s, out4(s), icmp4(type, 0, 0, in.four)));
  }
  for (const std::uint8_t type : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{4}, std::uint8_t{100},
                                  std::uint8_t{127}, std::uint8_t{130}, std::uint8_t{200}}) {
    table.push_back(
        expired4("G8", "hop limit 1 on icmpv6 type " + std::to_string(type), s, in6(s), icmp6(type, 0, 1280, out.six)));
  }
  table.push_back(expired6("K5", "ttl 1 on icmp without a byte", s, out4(s), raw(1, {})));
  table.push_back(expired4("K5", "hop limit 1 on icmpv6 without a byte", s, in6(s), raw(58, {})));
  {
    auto header = out4(s);
    header.options = {131, 7, 4, 198, 51, 100, 9, 0};
    table.push_back(drop6("C4", "source route on an icmp error", s, packet(header, icmp4(3, 1, 0, in.four)),
                          Verdict::source_route));
  }
  {
    auto header = in6(s);
    header.chain_first = 43;
    header.chain = Bytes{58, 2, 0, 1, 0, 0, 0, 0} + Bytes(16, 0x20);
    table.push_back(drop4("G15", "segments left on an icmpv6 error", s, packet(header, icmp6(1, 0, 0, out.six)),
                          Verdict::routing_header));
  }
  Scene local = s;
  local.peer4 = "10.1.2.3";
  local.peer6 = "64:ff9b::a01:203";
  table.push_back(drop6("K5", "icmp error to a private address", local,
                        packet(out4(local), icmp4(3, 1, 0, from_peer(local, udp({})).four)), Verdict::private_in_wkp));
  table.push_back(drop4("K5", "icmpv6 error from a private address", local,
                        packet(in6(local), icmp6(1, 0, 0, to_peer(local, udp({})).six)), Verdict::private_in_wkp));
  // Type 3 and type 1 in first fragments.
  const auto error4 = icmp4(3, 1, 0, in.four + in.four), error6 = icmp6(1, 0, 0, out.six + out.six);
  table.push_back(drop6("K5", "first fragment of an icmp error", s, piece4(out4(s), error4, {0, 64, true}),
                        Verdict::icmp_fragment));
  table.push_back(drop4("K5", "first fragment of an icmpv6 error", s,
                        piece6(in6(s), error6, {0, 64, true}, kFragmentId), Verdict::icmp_fragment));
}

// RFC 7915 §4.4: 3/13 about what policy forbids. Of §5.4's 1/1 no case is left: what is dropped on the way to IPv4 has
// an answer of its own, or came from where none can go, or is malformed. And all only as often as allowed.
void add_prohibited(std::vector<Vector>& table) {
  Scene local = neutral();
  local.peer4 = "10.1.2.3";
  local.peer6 = "64:ff9b::a01:203";
  const auto segment = udp(counting(40));
  const auto out =
      drop6("K1", "administratively prohibited", local, packet(out4(local), segment), Verdict::private_in_wkp);
  table.push_back(answered(out, local, kProhibited4));
  table.push_back(
      drop4("K2", "no answer to a private address", local, packet(in6(local), segment), Verdict::private_in_wkp));
  const auto rate_used_up = [](Vector vector) {
    vector.description += ", the rate being used up";
    vector.clat.may_answer = false;
    return on(FastPath::punts, std::move(vector));
  };
  const Scene& s = operators96();
  table.push_back(rate_used_up(out));
  table.push_back(rate_used_up(expired6("K1", "time exceeded", s, out4(s), segment)));
  table.push_back(rate_used_up(expired4("K2", "time exceeded", s, in6(s), segment)));
  auto large = out4(s);
  large.df = true;
  table.push_back(
      rate_used_up(drop6("K1", "fragmentation needed", s, packet(large, udp(counting(1472))), Verdict::too_big)));
}

void add_fragmentation_needed(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto df = [&](const char* id, const std::string& text, const Segment& segment, const Mtus& mtus, unsigned told,
                      Bytes options = {}) {
    auto header = out4(s);
    header.df = true;
    header.options = std::move(options);
    const auto input = packet(header, segment);
    table.push_back(with_mtus(told == 0 ? to_ipv6(id, text, s, input, packet(out6(s), segment))
                                        : answered(drop6(id, text, s, input, Verdict::too_big), s, {3, 4, told}),
                              mtus));
  };
  for (const std::uint32_t mtu : {1280U, 1400U, 1500U, 9000U}) {
    const Mtus mtus{.ipv6 = mtu, .lowest_ipv6 = mtu};
    const auto uplink = " over an mtu of " + std::to_string(mtu);
    df("A16", "df 1 and udp that just fits" + uplink, udp(counting(mtu - 48)), mtus, 0);
    df("A16", "df 1 and udp one byte too long" + uplink, udp(counting(mtu - 47)), mtus, mtu - 20);
  }
  const Mtus narrow{.ipv6 = 1400, .lowest_ipv6 = 1400};
  df("A16", "df 1 and tcp too long", tcp(counting(1460)), narrow, 1380);
  df("A16", "df 1 and udp without checksum too long", udp(counting(1472), Sum::none), narrow, 1380);
  df("A16", "df 1 and protocol 50 too long", raw(50, counting(1480)), narrow, 1380);
  df("A16", "df 1 and options, which do not count", udp(counting(1400 - 48)), narrow, 0, Bytes(8, 1));
  df("A16", "df 1 and options and one byte too long", udp(counting(1400 - 47)), narrow, 1380, Bytes(8, 1));
  df("A16", "df 1 above lowest-ipv6-mtu", udp(counting(1400)), {.ipv6 = 1500, .lowest_ipv6 = 1280}, 0);
  {
    auto header = out4(s);
    header.df = true;
    const auto echo4 = icmp4(8, 0, 7, counting(1472));
    table.push_back(answered(drop6("A16", "df 1 and an echo too long", s, packet(header, echo4), Verdict::too_big), s,
                             {3, 4, 1480}));
  }
  // A fragment with DF=1 needs a Fragment Header besides.
  const auto whole = udp(counting(3000));
  const auto cut = [&](const char* id, const char* text, const Cut& at) {
    auto header = out4(s);
    header.df = true;
    return drop6(id, text, s, piece4(header, whole, at), Verdict::too_big);
  };
  table.push_back(answered(cut("B7", "first fragment with df too long", {0, 1456, true}), s, {3, 4, 1472}));
  table.push_back(cut("K1", "no answer to a later fragment with df too long", {1456, 1456, true}));
  auto header = out4(s);
  header.df = true;
  const Cut fits{1448, 1448, true};
  table.push_back(to_ipv6("B7", "fragment with df that just fits", s, piece4(header, whole, fits),
                          piece6(out6(s), whole, fits, kFragmentId)));
}

void add_packet_too_big(std::vector<Vector>& table) {
  const Scene& s = operators96();
  // `size`: of the IPv4 packet that would come out.
  const auto big = [&](const std::string& text, std::size_t size, const Mtus& mtus, unsigned told) {
    const auto segment = tcp(counting(size - 40));
    table.push_back(
        with_mtus(answered(drop4("G10", text, s, packet(in6(s), segment), Verdict::too_big), s, {2, 0, told}), mtus));
  };
  const auto fits = [&](const std::string& text, std::size_t size, const Mtus& mtus) {
    const auto segment = tcp(counting(size - 40));
    auto header = in4(s);
    header.df = size > 1260;
    table.push_back(with_mtus(to_ipv4("G10", text, s, packet(in6(s), segment), packet(header, segment)), mtus));
  };
  fits("result just fits the ipv4 mtu of 1400", 1400, {.ipv4 = 1400});
  big("result one byte above the ipv4 mtu of 1400", 1401, {.ipv4 = 1400}, 1420);
  big("result far above the ipv4 mtu of 1300", 1480, {.ipv4 = 1300}, 1320);
  // No IPv6 node would believe in less than 1280; what becomes 1260 may be fragmented behind us.
  big("result above the ipv4 mtu of 1000", 1261, {.ipv4 = 1000}, 1280);
  fits("result that may be fragmented above the ipv4 mtu of 1000", 1260, {.ipv4 = 1000});
  {
    const auto whole = tcp(counting(2000));
    const Cut cut{0, 1400, true};
    table.push_back(with_mtus(exact(to_ipv4("G10", "fragment above the ipv4 mtu of 1300", s,
                                            piece6(in6(s), whole, cut, kFragmentId), piece4(in4(s), whole, cut))),
                              {.ipv4 = 1300}));
  }
  {
    auto header = in6(s);
    header.chain_first = 60;
    header.chain = {6, 0, 1, 4, 0, 0, 0, 0};
    const auto segment = tcp(counting(1360));
    auto four = in4(s);
    four.df = true;
    table.push_back(
        with_mtus(to_ipv4("G10", "extension headers do not count", s, packet(header, segment), packet(four, segment)),
                  {.ipv4 = 1400}));
  }
}

// Of a super-packet an error shows what would have gone over the wire: its first segment, checksum and all.
void add_super_packets(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto with_vnet = [](Vector vector, const VnetHeader& vnet) {
    vector.vnet = vnet;
    return vector;
  };
  const auto super = tcp(counting(8000), Sum::partial);
  auto header = out4(s);
  header.df = true;
  const VnetHeader tcp4{1, 1, 0, 1460, 20, 16};
  table.push_back(answered(
      with_vnet(drop6("A16", "tcp super-packet of segments too long", s, packet(header, super), Verdict::too_big),
                tcp4),
      s, {3, 4, 1480}, packet(header, tcp(counting(1460)))));
  header.ttl = 1;
  table.push_back(answered(with_vnet(expired6("A7", "ttl 1 on a tcp super-packet", s, header, super), tcp4), s,
                           kExceeded4, packet(header, tcp(counting(1460)))));
  // PSH and FIN belong to the last segment.
  table.push_back(answered(with_vnet(expired6("A7", "ttl 1 on a tcp super-packet that ends the connection", s, header,
                                              tcp(counting(8000), Sum::partial, {}, 0x19)),
                                     tcp4),
                           s, kExceeded4, packet(header, tcp(counting(1460)))));
  auto six = in6(s);
  six.hop_limit = 1;
  table.push_back(
      answered(with_vnet(expired4("G8", "hop limit 1 on a tcp super-packet", s, six, super), {1, 4, 0, 1440, 40, 16}),
               s, kExceeded6, packet(six, tcp(counting(1440)))));
  table.push_back(
      answered(with_vnet(expired6("A7", "ttl 1 on a udp super-packet", s, header, udp(counting(5000), Sum::partial)),
                         {1, 5, 0, 1400, 20, 6}),
               s, kExceeded4, packet(header, udp(counting(1400)))));
  table.push_back(
      answered(with_vnet(expired6("A7", "ttl 1 on a partial checksum", s, header, udp(counting(100), Sum::partial)),
                         {1, 0, 0, 0, 20, 6}),
               s, kExceeded4, packet(header, udp(counting(100)))));
}

}  // namespace

void add_answers(std::vector<Vector>& table) {
  add_time_exceeded(table);
  add_fragments_expired(table);
  add_errors_unanswered(table);
  add_prohibited(table);
  add_fragmentation_needed(table);
  add_packet_too_big(table);
  add_super_packets(table);
}

}  // namespace clat::test
