// RFC 7915 §4.3: the packet inside an ICMPv4 error.
#include "tests/support/quotes.hpp"

namespace clat::test {

using xlat::Verdict;

namespace {

void add_quoted_headers(Quotes quotes) {
  const Scene& s = operators96();
  const auto segment = udp(counting(40));
  const auto with = [&](const char* id, const char* text, auto edit4, auto edit6) {
    auto four = quotes.four(s);
    auto six = quotes.six(s);
    edit4(four);
    edit6(six);
    quotes.add(id, text, s, {packet(four, segment), packet(six, segment)});
  };
  const auto same = [](auto&) {};
  with("F1", "quotes tos 0xb8", [](Ip4& h) { h.tos = 0xb8; }, [](Ip6& h) { h.traffic_class = 0xb8; });
  with("F1", "quotes ttl 1", [](Ip4& h) { h.ttl = 1; }, [](Ip6& h) { h.hop_limit = 1; });
  with("F1", "quotes ttl 255", [](Ip4& h) { h.ttl = 255; }, [](Ip6& h) { h.hop_limit = 255; });
  with("F11", "quotes ttl 0", [](Ip4& h) { h.ttl = 0; }, [](Ip6& h) { h.hop_limit = 0; });
  with(
      "F1", "quotes an identification and df",
      [](Ip4& h) {
        h.id = 0xbeef;
        h.df = true;
      },
      same);
  with("F11", "quotes a stale header checksum", [](Ip4& h) { h.checksum = 0x1234; }, same);
  with("F11", "quotes a header checksum of 0", [](Ip4& h) { h.checksum = 0; }, same);
  with("F5", "quotes no operation", [](Ip4& h) { h.options = Bytes(8, 1); }, same);
  with("F5", "quotes forty bytes of options", [](Ip4& h) { h.options = Bytes(40, 1); }, same);
  with("F5", "quotes a source route that has ended", [](Ip4& h) { h.options = {131, 7, 8, 198, 51, 100, 9, 0}; }, same);
  auto four = quotes.four(s);
  four.options = Bytes(8, 1);
  quotes.add("F5", "quotes options and eight bytes", s,
             {head(packet(four, segment), 28 + 8), head(packet(quotes.six(s), segment), 40 + 8)});
}

void add_quoted_pieces(Quotes quotes) {
  const Scene& s = operators96();
  const Cut first{0, 64, true};
  auto four = quotes.four(s);
  four.options = Bytes(4, 1);
  const auto whole = udp(counting(137));
  quotes.add("F6", "quotes a fragment with options", s,
             {piece4(four, whole, first), piece6(quotes.six(s), whole, first, kFragmentId)});
  const auto error = quotes.of(s, udp(counting(137))).four;
  quotes.refuse("F6", "quotes a first fragment of an icmp error", s,
                piece4(quotes.four(s), icmp4(3, 3, 0, error), first));
}

void add_nested(Quotes quotes) {
  const Scene& s = operators96();
  const auto innermost = quotes.of(s, udp(counting(8))).four;
  for (const unsigned type : {3U, 4U, 5U, 11U, 12U, 13U, 200U}) {
    const auto segment = icmp4(static_cast<std::uint8_t>(type), 0, 0, innermost);
    quotes.refuse("F7", "quotes icmp type " + std::to_string(type), s, quotes.of(s, segment, segment).four);
    quotes.refuse("F7", "quotes one byte of icmp type " + std::to_string(type), s,
                  head(quotes.of(s, segment, segment).four, 21));
  }
  quotes.refuse("F7", "quotes icmp without its type", s, head(quotes.of(s, icmp4(8, 0, 7, {}), {}).four, 20));
}

void add_broken(Quotes quotes) {
  const Scene& s = operators96();
  const auto in = quotes.of(s, udp(counting(40)));
  quotes.refuse("F10", "quotes nothing", s, {});
  quotes.refuse("F10", "quotes one byte", s, head(in.four, 1));
  quotes.refuse("F10", "quotes 19 bytes", s, head(in.four, 19));
  quotes.refuse("F10", "quotes ipv6", s, in.six);
  const auto lying = [&](const char* text, auto edit, std::size_t quoted = 1000) {
    auto header = quotes.four(s);
    edit(header);
    quotes.refuse("F10", text, s, head(packet(header, udp(counting(40))), quoted));
  };
  lying("quotes version 5", [](Ip4& h) { h.version_ihl = 0x55; });
  lying("quotes ihl 4", [](Ip4& h) { h.version_ihl = 0x44; });
  lying("quotes ihl 0", [](Ip4& h) { h.version_ihl = 0x40; });
  lying("quotes ihl 15 beyond the quote", [](Ip4& h) { h.version_ihl = 0x4f; }, 59);
  lying("quotes half of the options", [](Ip4& h) { h.options = Bytes(8, 1); }, 24);
  lying("quotes total length 0", [](Ip4& h) { h.total_length = 0; });
  lying("quotes total length 19", [](Ip4& h) { h.total_length = 19; });
  lying("quotes a total length within the options", [](Ip4& h) {
    h.options = Bytes(8, 1);
    h.total_length = 24;
  });
  lying("quotes a source route", [](Ip4& h) { h.options = {131, 7, 4, 198, 51, 100, 9, 0}; });
  lying("quotes an option of length 0", [](Ip4& h) { h.options = {7, 0, 4, 0}; });
  for (const std::uint8_t protocol :
       {std::uint8_t{58}, std::uint8_t{2}, std::uint8_t{0}, std::uint8_t{43}, std::uint8_t{44}, std::uint8_t{60}}) {
    const auto segment = raw(protocol, counting(20));
    quotes.refuse("F10", "quotes protocol " + std::to_string(protocol), s, quotes.of(s, segment).four);
  }
}

void add_strangers(Quotes quotes) {
  const auto with = [&](const Scene& s, const std::string& text, auto edit) {
    auto header = quotes.four(s);
    edit(header);
    quotes.refuse("F12", text, s, packet(header, udp(counting(40))));
  };
  const Scene& s = operators96();
  for (const auto* to : {"192.0.0.5", "198.51.100.1", "192.168.1.1"}) {
    with(s, std::string("quotes a packet to ") + to, [&](Ip4& h) { h.destination = to; });
  }
  for (const auto* from : {"0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255", "192.0.0.4"}) {
    with(s, std::string("quotes a packet from ") + from, [&](Ip4& h) { h.source = from; });
  }
  with(neutral(), "quotes a packet from a private address", [](Ip4& h) { h.source = "10.1.2.3"; });
}

}  // namespace

void add_quotes_to_ipv6(std::vector<Vector>& table) {
  const Quotes quotes(table, Direction::to_ipv6);
  add_quoted_headers(quotes);
  add_quoted_pieces(quotes);
  add_nested(quotes);
  add_broken(quotes);
  add_strangers(quotes);
}

}  // namespace clat::test
