// RFC 6052, RFC 6877 and RFC 1812 §5.3.7: whose packets are translated.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

namespace {

void add_layouts(std::vector<Vector>& table) {
  for (const auto& scene : scenes()) {
    const auto segment = udp(counting(12));
    table.push_back(
        to_ipv6("L1", "embed " + scene.name, scene, packet(out4(scene), segment), packet(out6(scene), segment)));
    table.push_back(
        to_ipv4("L2", "extract " + scene.name, scene, packet(in6(scene), segment), packet(in4(scene), segment)));
  }
  // RFC 6052 §2.3: what stands there besides the IPv4 address has no say.
  const auto ignored = [&](const char* description, const Scene& scene, const char* source) {
    auto six = in6(scene);
    six.source = source;
    const auto segment = udp(counting(12));
    table.push_back(to_ipv4("L3", description, scene, packet(six, segment), packet(in4(scene), segment)));
  };
  ignored("suffix is ignored", scenes()[0], "2001:db8:c000:221:0:1:2:3");
  ignored("u-octet is ignored", scenes()[4], "2001:db8:122:344:aac0:2:2100:0");
}

void add_sources_and_destinations(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto from = [&](const char* id, const std::string& source, Verdict verdict) {
    auto four = out4(s);
    four.source = source;
    table.push_back(drop6(id, "from " + source, s, packet(four, udp(counting(12))), verdict));
  };
  for (const auto* source : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"}) {
    from("L8", source, Verdict::not_from_clat);
  }
  from("L10", "192.0.0.5", Verdict::not_from_clat);
  from("L10", "192.168.1.2", Verdict::not_from_clat);

  const auto to = [&](const char* id, const std::string& destination, Verdict verdict) {
    auto four = out4(s);
    four.destination = destination;
    table.push_back(drop6(id, "to " + destination, s, packet(four, udp(counting(12))), verdict));
  };
  for (const auto* destination :
       {"224.0.0.251", "239.255.255.250", "255.255.255.255", "127.0.0.1", "0.0.0.0", "0.1.2.3", "169.254.1.1"}) {
    to("L9", destination, Verdict::bad_address);
  }
  to("L11", "192.0.0.4", Verdict::hairpin);

  const auto from6 = [&](const char* id, const std::string& source, Verdict verdict) {
    auto six = in6(s);
    six.source = source;
    table.push_back(drop4(id, "from " + source, s, packet(six, udp(counting(12))), verdict));
  };
  from6("L4", "2001:db8:122:345::c000:221", Verdict::outside_prefix);
  from6("L4", "2001:db8:122:344:0:1:c000:221", Verdict::outside_prefix);  // last bit of the /96
  from6("I16", "2606:4700::1111", Verdict::outside_prefix);
  for (const auto* source : {"::", "::1", "ff02::1", "fe80::1", "::ffff:c000:221", "2001:db9:1:2::c1a7"}) {
    from6("L12", source, Verdict::outside_prefix);
  }
  for (const auto* embedded : {"0:0", "7f00:1", "e000:1", "ffff:ffff", "a9fe:101"}) {
    from6("L13", std::string("2001:db8:122:344::") + embedded, Verdict::bad_address);
  }
  from6("L11", "2001:db8:122:344::c000:4", Verdict::hairpin);

  for (const auto* destination : {"2001:db9:1:2::c1a8", "2001:db9:1:2::1", "ff02::1", "fe80::1"}) {
    auto six = in6(s);
    six.destination = destination;
    table.push_back(on(FastPath::passes, drop4("L16", std::string("native ipv6 to ") + destination, s,
                                               packet(six, udp(counting(12))), Verdict::not_to_clat)));
  }
}

// RFC 6052 §3.1: not with the Well-Known Prefix; with any other prefix they are the operator's business.
void add_private(std::vector<Vector>& table) {
  const struct {
    const char *four, *embedded;
    bool is_private;
  } peers[] = {
      {"10.1.2.3", "a01:203", true},        {"172.16.0.1", "ac10:1", true},  {"172.31.255.1", "ac1f:ff01", true},
      {"192.168.9.9", "c0a8:909", true},    {"11.0.0.1", "b00:1", false},    {"172.32.0.1", "ac20:1", false},
      {"192.169.0.1", "c0a9:1", false},     {"100.64.0.1", "6440:1", false}, {"198.18.0.1", "c612:1", false},
      {"198.51.100.7", "c633:6407", false}, {"240.0.0.1", "f000:1", false},
  };
  for (const auto& peer : peers) {
    for (const bool well_known : {true, false}) {
      Scene s = well_known ? neutral() : operators96();
      s.peer4 = peer.four;
      s.peer6 = s.prefix + peer.embedded;
      const auto segment = tcp(counting(9));
      const std::string with = std::string(peer.four) + " with " + s.prefix;
      const auto* id = peer.is_private ? "L5" : "L6";
      if (peer.is_private && well_known) {
        table.push_back(
            answered(drop6(id, "to " + with, s, packet(out4(s), segment), Verdict::private_in_wkp), s, {3, 13}));
        // An answer would have to go to the very address that must not appear.
        table.push_back(drop4(id, "from " + with, s, packet(in6(s), segment), Verdict::private_in_wkp));
        for (auto vector :
             {to_ipv6(id, "let through to " + with, s, packet(out4(s), segment), packet(out6(s), segment)),
              to_ipv4(id, "let through from " + with, s, packet(in6(s), segment), packet(in4(s), segment))}) {
          vector.clat.allow_private_ipv4 = true;
          table.push_back(vector);
        }
      } else {
        table.push_back(to_ipv6(id, "to " + with, s, packet(out4(s), segment), packet(out6(s), segment)));
        table.push_back(to_ipv4(id, "from " + with, s, packet(in6(s), segment), packet(in4(s), segment)));
      }
    }
  }
  {
    // A private router's error about a packet to a private host.
    Scene s = neutral();
    s.peer4 = "10.1.2.3";
    s.peer6 = "64:ff9b::a01:203";
    const auto out = to_peer(s, udp(counting(20))), in = from_peer(s, udp(counting(20)));
    for (auto vector : {error4("L5", "let through an icmpv6 error", s, {3, 0}, out.six, {11, 0}, out.four),
                        error6("L5", "let through an icmp error", s, {3, 3}, in.four, {1, 4}, in.six)}) {
      vector.clat.allow_private_ipv4 = true;
      table.push_back(vector);
    }
  }
  const Scene local{"/48", "192.0.0.4", "2001:db9:1:2::c1a7", "64:ff9b:1::", 48, "10.1.2.3", "64:ff9b:1:a01:2:300::"};
  const auto segment = udp(counting(9));
  table.push_back(to_ipv6("L7", "private with 64:ff9b:1::/48 out", local, packet(out4(local), segment),
                          packet(out6(local), segment)));
  table.push_back(
      to_ipv4("L7", "private with 64:ff9b:1::/48 in", local, packet(in6(local), segment), packet(in4(local), segment)));
}

}  // namespace

void add_addresses(std::vector<Vector>& table) {
  add_layouts(table);
  add_sources_and_destinations(table);
  add_private(table);
}

}  // namespace clat::test
