// RFC 6877 §6.3: IPv4 networks of the CLAT's side that have IPv6 addresses of their own.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

namespace {

constexpr const char* kLan96 = "192.168.1.0/24=2001:db9:1:c1a7::/96";
constexpr const char* kLan64 = "10.7.0.0/16=2001:db9:7:c1a7::/64";

std::vector<RangeMapping> ranges(std::initializer_list<const char*> texts) {
  std::vector<RangeMapping> all;
  for (const auto* text : texts) all.push_back(*RangeMapping::parse(text));
  return all;
}

// The row as it is for a host of a range, whose addresses stand in the scene; the CLAT has its own besides.
Vector in_range(Vector vector, const Scene& own, std::initializer_list<const char*> texts) {
  vector.clat = own.clat();
  vector.clat.ranges = ranges(texts);
  return vector;
}

void add_lengths(std::vector<Vector>& table) {
  const struct {
    const char *mapping, *v4, *v6;
  } hosts[] = {
      {kLan96, "192.168.1.9", "2001:db9:1:c1a7::c0a8:109"},
      {kLan64, "10.7.8.9", "2001:db9:7:c1a7:a:708:900:0"},
      {"172.16.0.0/12=2001:db9:7:300::/56", "172.31.2.3", "2001:db9:7:3ac:1f:203::"},
      {"192.168.0.0/16=2001:db9:7::/48", "192.168.255.1", "2001:db9:7:c0a8:ff:100::"},
      {"203.0.113.0/24=2001:db9:700::/40", "203.0.113.77", "2001:db9:7cb:71:4d::"},
      {"203.0.113.64/26=2001:db9::/32", "203.0.113.77", "2001:db9:cb00:714d::"},
      {"203.0.113.77/32=2001:db9:1:c1a7::/96", "203.0.113.77", "2001:db9:1:c1a7::cb00:714d"},
  };
  for (const auto* own : {&neutral(), &operators96(), &scenes()[3]}) {
    for (const auto& [mapping, v4, v6] : hosts) {
      Scene s = *own;
      s.v4 = v4;
      s.v6 = v6;
      const auto text = std::string(mapping) + " " + own->name;
      for (const auto& segment : {udp(counting(33)), tcp(counting(61))}) {
        const auto what = "protocol " + std::to_string(segment.protocol) + " of " + text;
        table.push_back(in_range(to_ipv6("RANGE", what + " out", s, packet(out4(s), segment), packet(out6(s), segment)),
                                 *own, {mapping}));
        table.push_back(in_range(to_ipv4("RANGE", what + " in", s, packet(in6(s), segment), packet(in4(s), segment)),
                                 *own, {mapping}));
      }
      const auto echo4 = icmp4(8, 0, 7, counting(8)), echo6 = icmp6(128, 0, 7, counting(8));
      table.push_back(in_range(to_ipv6("RANGE", "echo of " + text, s, packet(out4(s), echo4), packet(out6(s), echo6)),
                               *own, {mapping}));
      const auto from = from_peer(s, udp(counting(20))), to = to_peer(s, udp(counting(20)));
      table.push_back(
          in_range(error6("RANGE", "icmp error of " + text, s, {3, 3}, from.four, {1, 4}, from.six), *own, {mapping}));
      table.push_back(
          in_range(error4("RANGE", "icmpv6 error to " + text, s, {1, 4}, to.six, {3, 3}, to.four), *own, {mapping}));
    }
  }
}

void add_choices(std::vector<Vector>& table) {
  const Scene& own = operators96();
  const auto segment = udp(counting(20));
  const auto host = [&](const char* v4, const char* v6) {
    Scene s = own;
    s.v4 = v4;
    s.v6 = v6;
    return s;
  };
  table.push_back(in_range(to_ipv6("RANGE", "the clat's own address beside ranges out", own, packet(out4(own), segment),
                                   packet(out6(own), segment)),
                           own, {kLan96, kLan64}));
  table.push_back(in_range(to_ipv4("RANGE", "the clat's own address beside ranges in", own, packet(in6(own), segment),
                                   packet(in4(own), segment)),
                           own, {kLan96, kLan64}));
  const auto second = host("10.7.8.9", "2001:db9:7:c1a7:a:708:900:0");
  table.push_back(in_range(
      to_ipv6("RANGE", "second range out", second, packet(out4(second), segment), packet(out6(second), segment)), own,
      {kLan96, kLan64}));
  table.push_back(
      in_range(to_ipv4("RANGE", "second range in", second, packet(in6(second), segment), packet(in4(second), segment)),
               own, {kLan96, kLan64}));
  const auto both = host("192.168.1.9", "2001:db9:1:c1a7::c0a8:109");
  table.push_back(in_range(
      to_ipv6("RANGE", "the first range that fits", both, packet(out4(both), segment), packet(out6(both), segment)),
      own, {kLan96, "192.168.0.0/16=2001:db9:7::/48"}));

  const auto refused6 = [&](const char* text, const char* from, const std::string& to, Verdict verdict) {
    auto header = out4(own);
    header.source = from;
    header.destination = to;
    table.push_back(in_range(drop6("RANGE", text, own, packet(header, segment), verdict), own, {kLan96, kLan64}));
  };
  const auto refused4 = [&](const char* text, const std::string& from, const char* to, Verdict verdict) {
    auto header = in6(own);
    header.source = from;
    header.destination = to;
    const auto fast_path = verdict == Verdict::not_to_clat ? FastPath::passes : FastPath::either;
    table.push_back(
        on(fast_path, in_range(drop4("RANGE", text, own, packet(header, segment), verdict), own, {kLan96, kLan64})));
  };
  refused6("source one behind the range", "192.168.2.0", own.peer4, Verdict::not_from_clat);
  refused6("source one before the range", "192.168.0.255", own.peer4, Verdict::not_from_clat);
  refused4("destination that embeds another address", own.peer6, "2001:db9:1:c1a7::c0a8:209", Verdict::not_to_clat);
  refused4("something in the u-octet", own.peer6, "2001:db9:7:c1a7:10a:708:900:0", Verdict::not_to_clat);
  refused4("destination with a suffix", own.peer6, "2001:db9:7:c1a7:a:708:900:1", Verdict::not_to_clat);
  // Between two hosts of ours nothing is to be translated.
  refused6("from a range to itself", "192.168.1.9", "192.168.1.10", Verdict::hairpin);
  refused6("from a range to another", "192.168.1.9", "10.7.8.9", Verdict::hairpin);
  refused6("from a range to the clat", "192.168.1.9", "192.0.0.4", Verdict::hairpin);
  refused6("from the clat to a range", "192.0.0.4", "10.7.8.9", Verdict::hairpin);
  refused4("from a range through the nat64", own.prefix + "c0a8:109", "2001:db9:1:2::c1a7", Verdict::hairpin);
}

// The IPv6 side's errors come from the CLAT itself, the IPv4 side's go to the host.
void add_answers_to_ranges(std::vector<Vector>& table) {
  const Scene& own = operators96();
  Scene s = own;
  s.v4 = "192.168.1.9";
  s.v6 = "2001:db9:1:c1a7::c0a8:109";
  auto four = out4(s);
  four.ttl = 1;
  table.push_back(answered(in_range(drop6("RANGE", "time exceeded to a host of a range", s,
                                          packet(four, udp(counting(20))), Verdict::hop_limit_exceeded),
                                    own, {kLan96}),
                           s, {11, 0}));
  auto six = in6(s);
  six.hop_limit = 1;
  table.push_back(answered(in_range(drop4("RANGE", "time exceeded about a packet to a range", s,
                                          packet(six, udp(counting(20))), Verdict::hop_limit_exceeded),
                                    own, {kLan96}),
                           s, {3, 0}));
}

}  // namespace

void add_ranges(std::vector<Vector>& table) {
  add_lengths(table);
  add_choices(table);
  add_answers_to_ranges(table);
}

}  // namespace clat::test
