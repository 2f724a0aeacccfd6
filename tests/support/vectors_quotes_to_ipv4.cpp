// RFC 7915 §5.3: the packet inside an ICMPv6 error.
#include "tests/support/quotes.hpp"

namespace clat::test {

using xlat::Verdict;

namespace {

void add_quoted_headers(Quotes quotes) {
  const Scene& s = operators96();
  const auto with = [&](const char* id, const char* text, auto edit6, auto edit4, const Segment& segment,
                        std::size_t quoted = 1000) {
    auto six = quotes.six(s);
    auto four = quotes.four(s);
    edit6(six);
    edit4(four);
    quotes.add(id, text, s,
               {head(packet(four, segment), 20 + quoted), head(packet(six, segment), 40 + six.chain.size() + quoted)});
  };
  const auto same = [](auto&) {};
  const auto small = udp(counting(40));
  with("J1", "quotes traffic class 0xb8", [](Ip6& h) { h.traffic_class = 0xb8; }, [](Ip4& h) { h.tos = 0xb8; }, small);
  with("J1", "quotes a flow label", [](Ip6& h) { h.flow_label = 0xfffff; }, same, small);
  with("J1", "quotes hop limit 1", [](Ip6& h) { h.hop_limit = 1; }, [](Ip4& h) { h.ttl = 1; }, small);
  with("J1", "quotes hop limit 0", [](Ip6& h) { h.hop_limit = 0; }, [](Ip4& h) { h.ttl = 0; }, small);
  with("J1", "quotes hop limit 255", [](Ip6& h) { h.hop_limit = 255; }, [](Ip4& h) { h.ttl = 255; }, small);
  // RFC 7915 §5.1, like the packet itself.
  with("J1", "quotes what becomes 1260 bytes", same, same, tcp(counting(1220)), 100);
  with("J1", "quotes what becomes 1261 bytes", same, [](Ip4& h) { h.df = true; }, tcp(counting(1221)), 100);
  const auto chain = [&](const char* text, std::uint8_t first, const Bytes& headers, std::size_t quoted = 1000) {
    with(
        "J4", text,
        [&](Ip6& h) {
          h.chain_first = first;
          h.chain = headers;
        },
        same, small, quoted);
  };
  const Bytes pad{1, 4, 0, 0, 0, 0};
  chain("quotes hop-by-hop options", 0, Bytes{17, 0} + pad);
  chain("quotes destination options", 60, Bytes{17, 0} + pad);
  chain("quotes a routing header with no segments left", 43, {17, 0, 0, 0, 0, 0, 0, 0});
  chain("quotes three extension headers and eight bytes", 0,
        Bytes{43, 0} + pad + Bytes{60, 0, 0, 0, 0, 0, 0, 0} + Bytes{17, 0} + pad, 8);
  chain("quotes extension headers only", 60, Bytes{17, 1, 1, 12} + Bytes(12, 0), 0);
}

void add_quoted_pieces(Quotes quotes) {
  const Scene& s = operators96();
  const Cut first{0, 64, true};
  // A fragment may be cut again whatever its size: no DF inside either.
  const auto [four, six] = quotes.piece(s, tcp(counting(2000)), {0, 1400, true});
  quotes.add("J5", "quotes a fragment of 1420 bytes", s, {head(four, 120), head(six, 148)});
  const auto whole = udp(counting(137));
  quotes.add("J5", "quotes an atomic fragment", s, quotes.piece(s, whole, {0, whole.bytes.size(), false}));
  auto header = quotes.six(s);
  header.chain_first = 0;
  header.chain = Bytes{44, 0, 1, 4, 0, 0, 0, 0} + fragment_header(17, 0, true, kFragmentId);
  quotes.add("J5", "quotes a fragment behind hop-by-hop options", s,
             {piece4(quotes.four(s), whole, first), packet(header, piece(header, whole, 0, 64))});
  const auto refuse = [&](const char* text, const Segment& segment, const Cut& cut) {
    quotes.refuse("J5", text, s, piece6(quotes.six(s), segment, cut, kFragmentId));
  };
  refuse("quotes a first fragment of an icmpv6 error", icmp6(1, 4, 0, quotes.of(s, whole).six), first);
  refuse("quotes destination options in a fragment", raw(60, counting(64)), first);
}

void add_nested(Quotes quotes) {
  const Scene& s = operators96();
  const auto innermost = quotes.of(s, udp(counting(8))).six;
  for (const unsigned type : {1U, 2U, 3U, 4U, 100U, 127U, 130U, 135U, 137U, 200U}) {
    const auto segment = icmp6(static_cast<std::uint8_t>(type), 0, 1280, innermost);
    quotes.refuse("J6", "quotes icmpv6 type " + std::to_string(type), s, quotes.of(s, segment).six);
    quotes.refuse("J6", "quotes one byte of icmpv6 type " + std::to_string(type), s,
                  head(quotes.of(s, segment).six, 41));
  }
  quotes.refuse("J6", "quotes icmpv6 without its type", s, head(quotes.of(s, icmp6(128, 0, 7, {})).six, 40));
  auto header = quotes.six(s);
  header.chain_first = 60;
  header.chain = {58, 0, 1, 4, 0, 0, 0, 0};
  quotes.refuse("J6", "quotes an icmpv6 error behind destination options", s,
                packet(header, icmp6(1, 0, 0, innermost)));
}

void add_broken(Quotes quotes) {
  const Scene& s = operators96();
  const auto out = quotes.of(s, udp(counting(40)));
  quotes.refuse("J7", "quotes nothing", s, {});
  quotes.refuse("J7", "quotes one byte", s, head(out.six, 1));
  quotes.refuse("J7", "quotes 39 bytes", s, head(out.six, 39));
  quotes.refuse("J7", "quotes ipv4", s, out.four);
  const auto lying = [&](const std::string& text, auto edit, std::size_t quoted = 1000) {
    auto header = quotes.six(s);
    edit(header);
    quotes.refuse("J7", text, s, head(packet(header, udp(counting(40))), quoted));
  };
  lying("quotes version 7", [](Ip6& h) { h.version = 7; });
  const auto chained = [](std::uint8_t first, const Bytes& chain) {
    return [=](Ip6& h) {
      h.chain_first = first;
      h.chain = chain;
    };
  };
  const Bytes options{17, 0, 1, 4, 0, 0, 0, 0};
  for (const std::size_t cut_at : {40U, 41U, 47U}) {
    lying("quotes " + std::to_string(cut_at - 40) + " bytes of destination options", chained(60, options), cut_at);
    lying("quotes " + std::to_string(cut_at - 40) + " bytes of a fragment header",
          chained(44, fragment_header(17, 0, true, 7)), cut_at);
  }
  lying("quotes an extension header beyond the quote", chained(60, {17, 255, 1, 4, 0, 0, 0, 0}));
  lying("quotes a routing header with a segment left", chained(43, Bytes{17, 2, 0, 1, 0, 0, 0, 0} + Bytes(16, 0x20)));
  lying("quotes a payload length within the extension header", [&](Ip6& h) {
    chained(60, options)(h);
    h.payload_length = 7;
  });
  lying("quotes a payload length that ipv4 cannot say", [](Ip6& h) { h.payload_length = 65535; });
  for (const std::uint8_t next : {std::uint8_t{1}, std::uint8_t{2}}) {
    quotes.refuse("J7", "quotes next header " + std::to_string(next), s, quotes.of(s, raw(next, counting(20))).six);
  }
}

// Errors about packets that did not come from here by translation are not for translating.
void add_strangers(Quotes quotes) {
  const auto with = [&](const Scene& s, const std::string& text, auto edit) {
    auto header = quotes.six(s);
    edit(header);
    quotes.refuse("J8", text, s, packet(header, udp(counting(40))));
  };
  const Scene& s = operators96();
  for (const auto* from : {"2001:db9:1:2::c1a8", "2606:4700::1111", "::"}) {
    with(s, std::string("quotes a packet from ") + from, [&](Ip6& h) { h.source = from; });
  }
  for (const auto* to : {"2606:4700::1111", "2001:db8:122:345::c000:221", "ff02::1", "2001:db8:122:344::7f00:1",
                         "2001:db8:122:344::e000:1", "2001:db8:122:344::c000:4"}) {
    with(s, std::string("quotes a packet to ") + to, [&](Ip6& h) { h.destination = to; });
  }
  with(neutral(), "quotes a packet to a private address", [](Ip6& h) { h.destination = "64:ff9b::a01:203"; });
}

}  // namespace

void add_quotes_to_ipv4(std::vector<Vector>& table) {
  const Quotes quotes(table, Direction::to_ipv4);
  add_quoted_headers(quotes);
  add_quoted_pieces(quotes);
  add_nested(quotes);
  add_broken(quotes);
  add_strangers(quotes);
}

}  // namespace clat::test
