// RFC 7915 §4.3, §5.3: packets inside ICMP errors that are the same in both directions: whole, cut anywhere, fragments.
#include "tests/support/quotes.hpp"

namespace clat::test {

namespace {

constexpr Icmp kUnreachable4{3, 3}, kUnreachable6{1, 4};

}  // namespace

Quotes::Quotes(std::vector<Vector>& table, Direction direction)
    : table_(table), to_ipv6_(direction == Direction::to_ipv6) {}

Ip4 Quotes::four(const Scene& scene) const {
  auto header = to_ipv6_ ? in4(scene) : out4(scene);
  header.ttl = 64;
  return header;
}
Ip6 Quotes::six(const Scene& scene) const {
  auto header = to_ipv6_ ? in6(scene) : out6(scene);
  header.hop_limit = 64;
  return header;
}

Datagram Quotes::of(const Scene& scene, const Segment& segment4, const Segment& segment6) const {
  return {packet(four(scene), segment4), packet(six(scene), segment6)};
}

Datagram Quotes::piece(const Scene& scene, const Segment& segment4, const Segment& segment6, const Cut& cut) const {
  // Only the low 16 bits of an IPv6 Identification go on.
  const std::uint32_t id = to_ipv6_ ? kFragmentId : 0xabcd0000U | kFragmentId;
  return {piece4(four(scene), segment4, cut), piece6(six(scene), segment6, cut, id)};
}

Datagram Quotes::cut(Datagram whole, std::size_t n, std::size_t checksum_at) const {
  whole.four.resize(20 + n);
  whole.six.resize(40 + n);
  if (n == checksum_at + 1) (to_ipv6_ ? whole.six : whole.four).back() = (to_ipv6_ ? whole.four : whole.six).back();
  return whole;
}

void Quotes::add(const char* id, std::string text, const Scene& scene, const Datagram& quote) {
  auto vector = to_ipv6_ ? error6(id, std::move(text), scene, kUnreachable4, quote.four, kUnreachable6, quote.six)
                         : error4(id, std::move(text), scene, kUnreachable6, quote.six, kUnreachable4, quote.four);
  table_.push_back(std::move(vector));
}
void Quotes::refuse(const char* id, std::string text, const Scene& scene, const Bytes& quote) {
  const auto verdict = xlat::Verdict::bad_inner;
  table_.push_back(to_ipv6_
                       ? drop6(id, std::move(text), scene, packet(out4(scene), icmp4(kUnreachable4, quote)), verdict)
                       : drop4(id, std::move(text), scene, packet(in6(scene), icmp6(kUnreachable6, quote)), verdict));
}

namespace {

void add_protocols(Quotes quotes) {
  const auto whole = quotes.id("F3", "J3"), cut = quotes.id("F2", "J2");
  for (const auto& s : scenes()) {
    for (const auto& segment : {udp(counting(40)), tcp(counting(40)), udp_lite(counting(40)), dccp(counting(40)),
                                raw(132, counting(40)), raw(47, counting(40)), raw(50, counting(40))}) {
      const auto quote = quotes.of(s, segment);
      const auto text = "quotes protocol " + std::to_string(segment.protocol) + " " + s.name;
      quotes.add(whole, text, s, quote);
      quotes.add(cut, text + " cut at 8 bytes", s, quotes.cut(quote, 8, 16));
    }
    for (const bool request : {true, false}) {
      const auto quote =
          quotes.of(s, icmp4(request ? 8 : 0, 0, 7, counting(40)), icmp6(request ? 128 : 129, 0, 7, counting(40)));
      const auto text = std::string("quotes an echo ") + (request ? "request " : "reply ") + s.name;
      quotes.add(quotes.id("F4", "J3"), text, s, quote);
      quotes.add(quotes.id("F4", "J2"), text + " cut at 8 bytes", s, quotes.cut(quote, 8, 2));
    }
  }
  const Scene& s = operators96();
  quotes.add(quotes.id("F11", "J3"), "quotes udp without checksum", s, quotes.of(s, udp(counting(40), Sum::none)));
  quotes.add(whole, "quotes udp with a wrong checksum", s, quotes.of(s, udp(counting(40), Sum::wrong)));
}

void add_cuts(Quotes quotes) {
  const Scene& s = operators96();
  const auto add = [&](const std::string& name, const Datagram& whole, std::size_t checksum_at,
                       std::initializer_list<std::size_t> lengths) {
    for (const auto n : lengths) {
      quotes.add(quotes.id(n == 0 ? "F11" : "F2", "J2"), "quotes " + std::to_string(n) + " bytes of " + name, s,
                 quotes.cut(whole, n, checksum_at));
    }
  };
  const auto echo = [&](std::size_t size) {
    return quotes.of(s, icmp4(8, 0, 7, counting(size)), icmp6(128, 0, 7, counting(size)));
  };
  add("udp", quotes.of(s, udp(counting(40))), 6, {0, 1, 5, 6, 7, 9, 47});
  add("tcp", quotes.of(s, tcp(counting(40))), 16, {0, 1, 12, 15, 16, 17, 18, 19, 20, 21, 59});
  add("an echo request", echo(40), 2, {1, 2, 3, 4, 5, 7, 47});
  add("protocol 50", quotes.of(s, raw(50, counting(40))), 100, {0, 1, 39});
  // The length inside is what it was, though most is missing, and an echo's checksum goes by it.
  add("a datagram of 1260 bytes", quotes.of(s, udp(counting(1232))), 6, {8, 100, 1191});
  add("an echo of 1260 bytes", echo(1232), 2, {8, 100});
  quotes.add(quotes.id("F11", "J2"), "quotes a packet without payload", s, quotes.of(s, raw(50, {})));
}

void add_pieces(Quotes quotes) {
  const Scene& s = operators96();
  const auto id = quotes.id("F6", "J5");
  const Cut first{0, 64, true}, middle{64, 64, true}, last{128, 17, false};
  const auto add = [&](const std::string& text, const Segment& whole, const Cut& cut, std::size_t quoted) {
    const auto [four, six] = quotes.piece(s, whole, cut);
    quotes.add(id, text + " of protocol " + std::to_string(whole.protocol), s,
               {head(four, 20 + quoted), head(six, 48 + quoted)});
  };
  for (const auto& whole : {udp(counting(137)), tcp(counting(125)), raw(50, counting(145))}) {
    add("quotes a first fragment", whole, first, 64);
    add("quotes eight bytes of a first fragment", whole, first, 8);
    add("quotes a middle fragment", whole, middle, 64);
    add("quotes eight bytes of a last fragment", whole, last, 8);
    add("quotes only the headers of a last fragment", whole, last, 0);
  }
  // The length that an echo's checksum covers is not known, so that stays as it is.
  const Bytes behind_type = Bytes{0, 0xab, 0xcd} + counting(142);
  const auto add_echo = [&](const std::string& text, const Cut& cut, std::size_t quoted) {
    const auto [four, six] = quotes.piece(s, raw(1, Bytes{8} + behind_type), raw(58, Bytes{128} + behind_type), cut);
    quotes.add(id, text + " of an echo", s, {head(four, 20 + quoted), head(six, 48 + quoted)});
  };
  for (const std::size_t quoted : {64U, 8U, 3U, 1U}) {
    add_echo("quotes " + std::to_string(quoted) + " bytes of a first fragment", first, quoted);
  }
  add_echo("quotes a middle fragment", middle, 64);
  add_echo("quotes only the headers of a last fragment", last, 0);
  quotes.add(quotes.id("F11", "J5"), "quotes a first fragment of udp without checksum", s,
             quotes.piece(s, udp(counting(137), Sum::none), first));
}

}  // namespace

void add_quotes(std::vector<Vector>& table) {
  for (const auto direction : {Direction::to_ipv6, Direction::to_ipv4}) {
    add_protocols({table, direction});
    add_cuts({table, direction});
    add_pieces({table, direction});
  }
}

}  // namespace clat::test
