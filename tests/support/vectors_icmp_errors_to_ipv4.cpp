// RFC 7915 §5.2: ICMPv6 errors to ICMPv4 errors. What they quote is in vectors_quotes_to_ipv4.cpp.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Mtus;
using xlat::Verdict;

namespace {

std::string named(const Icmp& icmp) { return "icmpv6 " + std::to_string(icmp.type) + "/" + std::to_string(icmp.code); }

void add_types_and_codes(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto quote = to_peer(s, udp(counting(40)));
  const auto becomes = [&](const char* id, const Icmp& six, const Icmp& four) {
    table.push_back(error4(id, named(six), s, six, quote.six, four, quote.four));
  };
  const auto dropped = [&](const char* id, const Icmp& six) {
    table.push_back(drop4(id, named(six), s, packet(in6(s), icmp6(six, quote.six)), Verdict::icmp_type));
  };
  becomes("I3", {1, 0}, {3, 1});
  becomes("I3", {1, 1}, {3, 10});
  becomes("I3", {1, 2}, {3, 1});
  becomes("I3", {1, 3}, {3, 1});
  becomes("I3", {1, 4}, {3, 3});
  for (const unsigned code : {5U, 6U, 7U, 255U}) dropped("I4", {1, static_cast<std::uint8_t>(code)});
  becomes("I9", {3, 0}, {11, 0});
  becomes("I9", {3, 1}, {11, 1});
  becomes("I12", {4, 1, 6}, {3, 2});
  table.push_back(
      error4("I12", "icmpv6 4/1 with a pointer far away", s, {4, 1, 0x40000580}, quote.six, {3, 2}, quote.four));
  for (const unsigned code : {2U, 3U, 4U, 255U}) dropped("I13", {4, static_cast<std::uint8_t>(code)});
  table.push_back(error4("I3", "icmpv6 1/0 with something in the unused field", s, {1, 0, 0x0000ffff}, quote.six,
                         {3, 1}, quote.four));
  table.push_back(error4("I9", "icmpv6 3/0 with something in the unused field", s, {3, 0, 0x0000ffff}, quote.six,
                         {11, 0}, quote.four));
  for (const auto& scene : scenes()) {
    const auto out = to_peer(scene, udp(counting(40)));
    table.push_back(error4("I3", "port unreachable " + scene.name, scene, {1, 4}, out.six, {3, 3}, out.four));
    table.push_back(error4("D5", "wrong checksum of an icmpv6 error stays wrong " + scene.name, scene, {1, 4}, out.six,
                           {3, 3}, out.four, Sum::wrong));
  }
}

// RFC 7915 figure 6; the pointer has 32 bits.
void add_pointers(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto quote = to_peer(s, udp(counting(40)));
  constexpr std::uint32_t kNone = 0xffffffff;
  const struct {
    std::uint32_t first, last, becomes;
  } pointers[] = {{0, 0, 0}, {1, 1, 1},   {2, 3, kNone}, {4, 5, 2},       {6, 6, 9},
                  {7, 7, 8}, {8, 23, 12}, {24, 39, 16},  {40, 41, kNone}, {255, 256, kNone}};
  const auto pointing = [](std::uint32_t pointer) { return Icmp{4, 0, pointer}; };
  const auto dropped = [&](std::uint32_t pointer) {
    table.push_back(drop4("I11", "icmpv6 4/0 pointer " + std::to_string(pointer), s,
                          packet(in6(s), icmp6(pointing(pointer), quote.six)), Verdict::icmp_type));
  };
  for (const auto& [first, last, becomes] : pointers) {
    for (auto pointer = first; pointer <= last; ++pointer) {
      if (becomes == kNone) {
        dropped(pointer);
      } else {
        table.push_back(error4("I10", "icmpv6 4/0 pointer " + std::to_string(pointer), s, pointing(pointer), quote.six,
                               {12, 0, becomes << 24}, quote.four));
      }
    }
  }
  for (const std::uint32_t pointer : {0x01000006U, 0x00010007U, 0x08000000U, 0xffffffffU}) dropped(pointer);
}

// Minimum(told - 20, MTU of the IPv4 side, MTU of the IPv6 side - 20), 28 with a Fragment Header in the packet.
void add_told_mtus(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto whole = to_peer(s, udp(counting(40)));
  const auto segment = udp(counting(72));
  const Cut first{0, 64, true};
  auto header = out6(s);
  header.hop_limit = out4(s).ttl;
  const Datagram cut{piece4(out4(s), segment, first), piece6(header, segment, first, kFragmentId)};
  const auto becomes = [&](const char* id, const Mtus& mtus, std::uint32_t told, std::uint32_t mtu,
                           bool fragment = false) {
    const auto text = std::string("packet too big, mtu ") + std::to_string(told) + ", uplink " +
                      std::to_string(mtus.ipv6) + (fragment ? ", about a fragment" : "") +
                      (mtus.ipv4 == Mtus{}.ipv4 ? "" : ", ipv4 side " + std::to_string(mtus.ipv4));
    const auto& quote = fragment ? cut : whole;
    table.push_back(with_mtus(error4(id, text, s, {2, 0, told}, quote.six, {3, 4, mtu}, quote.four), mtus));
  };
  const Mtus usual{}, narrow{.ipv6 = 1400, .lowest_ipv6 = 1400}, jumbo{.ipv6 = 9000, .lowest_ipv6 = 9000};
  becomes("I5", usual, 1280, 1260);
  becomes("I5", usual, 1281, 1261);
  becomes("I5", usual, 1400, 1380);
  becomes("I5", usual, 1492, 1472);
  becomes("I5", usual, 1500, 1480);
  becomes("I5", usual, 1501, 1480);
  becomes("I5", usual, 9000, 1480);
  becomes("I5", usual, 65535, 1480);
  // Nothing of 32 bits is lost, nor taken for a length attribute (RFC 4884 knows none here).
  becomes("I5", usual, 65536, 1480);
  becomes("I5", usual, 0x00010500, 1480);
  becomes("I5", usual, 0x20000500, 1480);
  becomes("I5", usual, 0xffffffff, 1480);
  becomes("I5", narrow, 1280, 1260);
  becomes("I5", narrow, 1400, 1380);
  becomes("I5", narrow, 1500, 1380);
  becomes("I5", jumbo, 1500, 1480);
  becomes("I5", jumbo, 9000, 8980);
  becomes("I5", jumbo, 9001, 8980);
  becomes("I5", {.ipv6 = 65535, .lowest_ipv6 = 65535}, 0xffffffff, 65515);
  becomes("I5", {.ipv4 = 1300}, 1500, 1300);
  becomes("I5", {.ipv4 = 1300}, 1300, 1280);
  becomes("I6", usual, 1280, 1252, true);
  becomes("I6", usual, 1500, 1472, true);
  becomes("I6", usual, 9000, 1472, true);
  becomes("I6", narrow, 1500, 1372, true);
  becomes("I6", {.ipv4 = 1300}, 1500, 1300, true);
  // RFC 8200 §5: no link has less than 1280, so nobody is told of less than what that leaves.
  for (const std::uint32_t told : {0U, 1U, 19U, 20U, 68U, 87U, 88U, 576U, 1260U, 1279U})
    becomes("I7", usual, told, 1260);
  becomes("I7", usual, 68, 1252, true);
  for (const std::uint8_t code : {std::uint8_t{1}, std::uint8_t{255}}) {
    table.push_back(error4("I8", named({2, code}), s, {2, code, 1400}, whole.six, {3, 4, 1380}, whole.four));
  }
}

// RFC 6052: a router behind the NAT64 has an IPv4 address, one on the way has none and is shown as 192.0.0.8.
void add_sources(std::vector<Vector>& table) {
  for (const auto& s : scenes()) {
    const auto quote = to_peer(s, udp(counting(40)));
    const auto from = [&](const char* id, const std::string& text, const std::string& source6,
                          const std::string& source4, const Icmp& six, const Icmp& four) {
      auto header6 = in6(s);
      header6.source = source6;
      auto header4 = in4(s);
      header4.source = source4;
      table.push_back(to_ipv4(id, text + " " + s.name, s, packet(header6, icmp6(six, quote.six)),
                              packet(header4, icmp4(four, quote.four))));
    };
    if (s.length == 96) from("I14", "router behind the nat64", s.prefix + "c633:6401", "198.51.100.1", {3, 0}, {11, 0});
    from("I15", "time exceeded from a native router", "2606:4700::1111", "192.0.0.8", {3, 0}, {11, 0});
    from("I15", "packet too big from a native router", "2606:4700::1111", "192.0.0.8", {2, 0, 1400}, {3, 4, 1380});
    from("I15", "unreachable from a native router", "2606:4700::1111", "192.0.0.8", {1, 3}, {3, 1});
    from("I15", "parameter problem from a native router", "2606:4700::1111", "192.0.0.8", {4, 0, 7}, {12, 0, 8U << 24});
    from("I15", "error from a router of the clat's own network", "2001:db9:1:2::1", "192.0.0.8", {1, 0}, {3, 1});
    from("I15", "error from a unique local address", "fd00::1", "192.0.0.8", {3, 0}, {11, 0});
    from("I15", "error from a link-local address", "fe80::1", "192.0.0.8", {3, 0}, {11, 0});
  }
  const Scene& s = operators96();
  const auto quote = to_peer(s, udp(counting(40)));
  const auto dropped = [&](const char* id, const std::string& source, const Segment& segment, Verdict verdict,
                           const char* what = "error") {
    auto header = in6(s);
    header.source = source;
    table.push_back(drop4(id, std::string(what) + " from " + source, s, packet(header, segment), verdict));
  };
  const auto error = icmp6(3, 0, 0, quote.six);
  auto native = in6(s);
  native.source = "2606:4700::1111";
  auto quoted = out6(s);
  quoted.destination = "2606:4700::2222";
  table.push_back(drop4("J8", "native error about a native packet", s,
                        packet(native, icmp6(3, 0, 0, packet(quoted, udp(counting(40))))), Verdict::bad_inner));
  for (const auto* source : {"::", "::1", "ff02::1", "::ffff:c000:221", "2001:db9:1:2::c1a7"}) {
    dropped("L12", source, error, Verdict::outside_prefix);
  }
  for (const auto* embedded : {"0:0", "7f00:1", "e000:1", "ffff:ffff", "a9fe:101"}) {
    dropped("L13", std::string("2001:db8:122:344::") + embedded, error, Verdict::bad_address);
  }
  dropped("L11", "2001:db8:122:344::c000:4", error, Verdict::hairpin);
  dropped("I16", "2606:4700::1111", icmp6(128, 0, 7, counting(20)), Verdict::outside_prefix, "echo request");
  dropped("I16", "2606:4700::1111", icmp6(129, 0, 7, counting(20)), Verdict::outside_prefix, "echo reply");
  dropped("I16", "2606:4700::1111", icmp6(100, 0, 7, quote.six), Verdict::outside_prefix, "unknown error");
  dropped("I16", "2606:4700::1111", tcp(counting(20)), Verdict::outside_prefix, "tcp");
}

// Nothing is cut: what IPv6 delivers, the IPv4 side takes as well (RFC 1812 §4.3.2.3 leaves it to us).
void add_sizes(std::vector<Vector>& table) {
  const Scene& s = operators96();
  // `size`: of the ICMPv6 packet.
  const auto error_of = [&](const char* id, std::size_t size, Sum sum = Sum::right) {
    auto quote = to_peer(s, udp(counting(3000)));
    auto header = in4(s);
    header.df = size - 20 - 20 > 1260;  // the quoted header shrinks, too
    // A datagram of 3028 bytes is one that must not be fragmented.
    auto quoted = out4(s);
    quoted.df = true;
    quote.four = head(packet(quoted, udp(counting(3000))), size - 40 - 8 - 20);
    auto vector = error4(id, "error of " + std::to_string(size) + " bytes", s, {1, 4}, head(quote.six, size - 40 - 8),
                         {3, 3}, quote.four, sum);
    vector.expected = {packet(header, icmp4(3, 3, 0, quote.four, sum))};
    table.push_back(vector);
  };
  for (const std::size_t size : {576U, 596U, 597U, 1280U}) error_of("J10", size);
  error_of("J10", 1281);
  error_of("J10", 1500);
  error_of("D5", 1280, Sum::wrong);
  auto vector = with_mtus(
      drop4("K5", "no packet too big about an icmpv6 error", s,
            packet(in6(s), icmp6(1, 4, 0, head(to_peer(s, udp(counting(3000))).six, 1452))), Verdict::too_big),
      {.ipv4 = 1400});
  table.push_back(vector);
}

void add_surroundings(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto quote = to_peer(s, udp(counting(40)));
  const auto change = [&](const char* id, const char* text, auto edit6, auto edit4) {
    auto six = in6(s);
    auto four = in4(s);
    edit6(six);
    edit4(four);
    table.push_back(
        to_ipv4(id, text, s, packet(six, icmp6(1, 4, 0, quote.six)), packet(four, icmp4(3, 3, 0, quote.four))));
  };
  const auto same = [](auto&) {};
  change(
      "G2", "traffic class 0xc0 of an icmpv6 error", [](Ip6& h) { h.traffic_class = 0xc0; },
      [](Ip4& h) { h.tos = 0xc0; });
  change("G7", "hop limit 255 of an icmpv6 error", [](Ip6& h) { h.hop_limit = 255; }, [](Ip4& h) { h.ttl = 254; });
  change(
      "G12", "hop-by-hop options of an icmpv6 error",
      [](Ip6& h) {
        h.chain_first = 0;
        h.chain = {58, 0, 1, 4, 0, 0, 0, 0};
      },
      same);
  table.push_back(trailed(
      error4("G19", "bytes behind payload length of an icmpv6 error", s, {1, 4}, quote.six, {3, 3}, quote.four)));
  auto atomic = in6(s);
  atomic.chain_first = 44;
  atomic.chain = fragment_header(58, 0, false, kFragmentId);
  auto four = in4(s);
  four.id = kFragmentId;
  table.push_back(exact(to_ipv4("H3", "atomic fragment of an icmpv6 error", s,
                                packet(atomic, icmp6(1, 4, 0, quote.six)), packet(four, icmp4(3, 3, 0, quote.four)))));
  for (const std::uint8_t type : {std::uint8_t{128}, std::uint8_t{129}}) {
    const auto type4 = static_cast<std::uint8_t>(type == 128 ? 8 : 0);
    table.push_back(to_ipv4("E18", "icmpv6 type " + std::to_string(type) + " of code 5", s,
                            packet(in6(s), icmp6(type, 5, 7, counting(20))),
                            packet(in4(s), icmp4(type4, 5, 7, counting(20)))));
  }
}

}  // namespace

void add_icmp_errors_to_ipv4(std::vector<Vector>& table) {
  add_types_and_codes(table);
  add_pointers(table);
  add_told_mtus(table);
  add_sources(table);
  add_sizes(table);
  add_surroundings(table);
}

}  // namespace clat::test
