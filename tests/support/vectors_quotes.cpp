// RFC 7915 §4.3, §5.3: packets inside ICMP errors that are the same in both directions, whole and cut anywhere.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

namespace {

// Rows of one direction about the packets that errors of that direction quote.
class Quotes {
 public:
  Quotes(std::vector<Vector>& table, Direction direction) : table_(table), to_ipv6_(direction == Direction::to_ipv6) {}

  [[nodiscard]] Datagram of(const Scene& s, const Segment& four, const Segment& six) const {
    return to_ipv6_ ? from_peer(s, four, six) : to_peer(s, four, six);
  }
  [[nodiscard]] Datagram of(const Scene& s, const Segment& both) const { return of(s, both, both); }

  void add(const char* id6, const char* id4, const std::string& text, const Scene& s, const Datagram& quote) {
    table_.push_back(to_ipv6_ ? error6(id6, text, s, {3, 3}, quote.four, {1, 4}, quote.six)
                              : error4(id4, text, s, {1, 4}, quote.six, {3, 3}, quote.four));
  }

  // The first n bytes behind the IP headers. A checksum field of which only half is there stays as it came.
  [[nodiscard]] Datagram cut(Datagram whole, std::size_t n, std::size_t checksum_at) const {
    whole.four.resize(20 + n);
    whole.six.resize(40 + n);
    if (n == checksum_at + 1) (to_ipv6_ ? whole.six : whole.four).back() = (to_ipv6_ ? whole.four : whole.six).back();
    return whole;
  }
  void add_cut(const std::string& name, const Scene& s, const Datagram& whole, std::size_t checksum_at,
               std::initializer_list<std::size_t> lengths) {
    for (const auto n : lengths) {
      add(n == 0 ? "F11" : "F2", "J2", "quotes " + std::to_string(n) + " bytes of " + name, s,
          cut(whole, n, checksum_at));
    }
  }

 private:
  std::vector<Vector>& table_;
  bool to_ipv6_;
};

void add_protocols(Quotes quotes) {
  for (const auto& s : scenes()) {
    for (const auto& segment : {udp(counting(40)), tcp(counting(40)), udp_lite(counting(40)), dccp(counting(40)),
                                raw(132, counting(40)), raw(47, counting(40)), raw(50, counting(40))}) {
      const auto quote = quotes.of(s, segment);
      const auto text = "quotes protocol " + std::to_string(segment.protocol) + " " + s.name;
      quotes.add("F3", "J3", text, s, quote);
      quotes.add("F2", "J2", text + " cut at 8 bytes", s, quotes.cut(quote, 8, 16));
    }
    for (const bool request : {true, false}) {
      const auto quote =
          quotes.of(s, icmp4(request ? 8 : 0, 0, 7, counting(40)), icmp6(request ? 128 : 129, 0, 7, counting(40)));
      const auto text = std::string("quotes an echo ") + (request ? "request " : "reply ") + s.name;
      quotes.add("F4", "J3", text, s, quote);
      quotes.add("F4", "J2", text + " cut at 8 bytes", s, quotes.cut(quote, 8, 2));
    }
  }
  const Scene& s = operators96();
  quotes.add("F11", "J3", "quotes udp without checksum", s, quotes.of(s, udp(counting(40), Sum::none)));
  quotes.add("F3", "J3", "quotes udp with a wrong checksum", s, quotes.of(s, udp(counting(40), Sum::wrong)));
}

void add_cuts(Quotes quotes) {
  const Scene& s = operators96();
  const auto echo = [&](std::size_t size) {
    return quotes.of(s, icmp4(8, 0, 7, counting(size)), icmp6(128, 0, 7, counting(size)));
  };
  quotes.add_cut("udp", s, quotes.of(s, udp(counting(40))), 6, {0, 1, 5, 6, 7, 9, 47});
  quotes.add_cut("tcp", s, quotes.of(s, tcp(counting(40))), 16, {0, 1, 12, 15, 16, 17, 18, 19, 20, 21, 59});
  quotes.add_cut("an echo request", s, echo(40), 2, {1, 2, 3, 4, 5, 7, 47});
  quotes.add_cut("protocol 50", s, quotes.of(s, raw(50, counting(40))), 100, {0, 1, 39});
  // The length inside is what it was, though most is missing, and an echo's checksum goes by it.
  quotes.add_cut("a datagram of 1260 bytes", s, quotes.of(s, udp(counting(1232))), 6, {8, 100, 1191});
  quotes.add_cut("an echo of 1260 bytes", s, echo(1232), 2, {8, 100});
  quotes.add("F11", "J2", "quotes a packet without payload", s, quotes.of(s, raw(50, {})));
}

}  // namespace

void add_quotes(std::vector<Vector>& table) {
  for (const auto direction : {Direction::to_ipv6, Direction::to_ipv4}) {
    add_protocols({table, direction});
    add_cuts({table, direction});
  }
}

}  // namespace clat::test
