// RFC 4884 in RFC 7915 §4.2 and §5.2: the datagram in front of an extension changes its length, and the length
// attribute with it, in 32-bit words over IPv4 and 64-bit words over IPv6. The extension itself is opaque.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

namespace {

constexpr std::uint32_t attribute4(std::size_t datagram) { return static_cast<std::uint32_t>(datagram / 4) << 16; }
constexpr std::uint32_t attribute6(std::size_t datagram) { return static_cast<std::uint32_t>(datagram / 8) << 24; }

// An error of type and code with a datagram field and what stands behind it.
Segment extended4(const Icmp& icmp, const Bytes& field, const Bytes& behind, Sum sum = Sum::right) {
  return icmp4(icmp.type, icmp.code, icmp.rest | attribute4(field.size()), field + behind, sum);
}
Segment extended6(const Icmp& icmp, const Bytes& field, const Bytes& behind, Sum sum = Sum::right) {
  return icmp6(icmp.type, icmp.code, icmp.rest | attribute6(field.size()), field + behind, sum);
}
Vector out(const char* id, std::string text, const Scene& s, const Segment& four, const Segment& six) {
  return to_ipv6(id, std::move(text), s, packet(out4(s), four), packet(out6(s), six));
}
Vector in(const char* id, std::string text, const Scene& s, const Segment& six, const Segment& four) {
  return to_ipv4(id, std::move(text), s, packet(in6(s), six), packet(in4(s), four));
}

void add_to_ipv6(std::vector<Vector>& table) {
  const auto mpls = extension(4);
  for (const auto& s : scenes()) {
    const auto quote = from_peer(s, udp(counting(100)));  // 128 bytes of IPv4
    table.push_back(out("F13", "datagram of 128 bytes " + s.name, s, extended4({3, 3}, quote.four, mpls),
                        extended6({1, 4}, padded(quote.six, 8), mpls)));
  }
  const Scene& s = operators96();
  const auto large = from_peer(s, udp(counting(1000)));
  const auto small = from_peer(s, udp(counting(40)));
  // The first n bytes of IPv4, and what they become.
  const auto cut = [&](std::size_t n) { return Datagram{head(large.four, n), padded(head(large.six, n + 20), 8)}; };
  const auto least = cut(128);
  for (const std::size_t size : {128U, 132U, 136U, 140U, 500U}) {
    const auto [four, six] = cut(size);
    table.push_back(out("F13", "cut datagram of " + std::to_string(size) + " bytes", s, extended4({11, 0}, four, mpls),
                        extended6({3, 0}, six, mpls)));
  }
  // Zeros behind a short datagram belong to the field; those that are there stay.
  table.push_back(out("F13", "short datagram with padding", s, extended4({3, 1}, padded(small.four, 4), mpls),
                      extended6({1, 0}, padded(small.six + Bytes(60), 8), mpls)));
  table.push_back(out("F13", "unused bytes beside the attribute", s, extended4({3, 1, 0xff00ffff}, least.four, mpls),
                      extended6({1, 0}, least.six, mpls)));
  table.push_back(out("F13", "extension of one byte", s, extended4({11, 1}, least.four, {0x20}),
                      extended6({3, 1}, least.six, {0x20})));
  table.push_back(out("D5", "wrong checksum of an error with an extension stays wrong", s,
                      extended4({11, 0}, least.four, mpls, Sum::wrong),
                      extended6({3, 0}, least.six, mpls, Sum::wrong)));
  table.push_back(trailed(out("F15", "bytes behind total length of an error with an extension", s,
                              extended4({11, 0}, least.four, mpls), extended6({3, 0}, least.six, mpls))));
  {
    // A Fragment Header inside, options left out.
    auto four = in4(s);
    four.ttl = in6(s).hop_limit;
    four.options = Bytes(12, 1);
    const auto whole = udp(counting(192));
    const Cut first{0, 96, true};
    table.push_back(out("F13", "datagram that is a fragment with options", s,
                        extended4({11, 0}, piece4(four, whole, first), mpls),
                        extended6({3, 0}, padded(piece6(in6(s), whole, first, kFragmentId), 8), mpls)));
  }
  // No counterpart has the attribute (RFC 4884 §4.4 to §4.6): what is behind the datagram goes.
  const auto plain = head(large.six, 148);
  table.push_back(out("E12", "fragmentation needed with an extension", s, extended4({3, 4, 1400}, least.four, mpls),
                      icmp6(2, 0, 1420, plain)));
  table.push_back(out("E12", "protocol unreachable with an extension", s, extended4({3, 2}, least.four, mpls),
                      icmp6(4, 1, 6, plain)));
  table.push_back(out("E12", "parameter problem with an extension", s, extended4({12, 0, 8U << 24}, least.four, mpls),
                      icmp6(4, 0, 7, plain)));
}

// An attribute that cannot be: all of it is datagram, and none goes on.
void add_wrong_attributes(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto large = from_peer(s, udp(counting(1000))), sent = to_peer(s, udp(counting(1000)));
  for (const unsigned words : {1U, 31U, 33U, 34U, 255U}) {
    table.push_back(out("F14", "attribute of " + std::to_string(words) + " words before 132 bytes", s,
                        icmp4(11, 0, words << 16, head(large.four, 132)), icmp6(3, 0, 0, head(large.six, 152))));
  }
  for (const unsigned words : {1U, 15U, 17U, 18U, 255U}) {
    table.push_back(in("F14", "attribute of " + std::to_string(words) + " words before 136 bytes", s,
                       icmp6(3, 0, words << 24, head(sent.six, 136)), icmp4(11, 0, 0, head(sent.four, 116))));
  }
}

constexpr std::size_t kMostSetAside = 512;  // bytes of extension: the fast path's limit

// RFC 4443 §2.4 (c): 1280 bytes at most; the extension is what the receiver cannot guess.
void add_sizes(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto large = from_peer(s, udp(counting(3000)));
  const auto sized = [&](const std::string& text, std::size_t datagram, std::size_t behind, std::size_t kept) {
    const auto what = counting(behind, 0x20);
    auto vector = out("F16", text, s, extended4({11, 0}, head(large.four, datagram), what),
                      extended6({3, 0}, padded(head(large.six, kept), 8), what));
    table.push_back(behind > kMostSetAside ? on(FastPath::punts, std::move(vector)) : std::move(vector));
  };
  // 40 + 8 + 1200 + 32 = 1280.
  sized("result of 1280 bytes", 1020, 192, 1040);
  sized("datagram cut to 1032 bytes", 1020, 196, 1032);
  sized("datagram cut to 720 bytes", 720, 512, 720);
  sized("datagram cut to 712 bytes", 720, 513, 712);
  sized("datagram cut to 480 bytes", 512, 752, 480);
  sized("datagram cut to 128 bytes", 160, 1104, 128);
  // 1105 bytes leave less than 128 for the datagram.
  for (const std::size_t behind : {1105U, 1200U}) {
    auto vector =
        out("F16", "extension of " + std::to_string(behind) + " bytes is left out", s,
            extended4({11, 0}, head(large.four, 160), counting(behind, 0x20)), icmp6(3, 0, 0, head(large.six, 180)));
    table.push_back(on(FastPath::punts, std::move(vector)));
  }
}

void add_to_ipv4(std::vector<Vector>& table) {
  const auto mpls = extension(4);
  for (const auto& s : scenes()) {
    const auto quote = to_peer(s, udp(counting(88)));  // 136 bytes of IPv6
    table.push_back(in("J9", "datagram of 136 bytes " + s.name, s, extended6({1, 4}, quote.six, mpls),
                       extended4({3, 3}, padded(quote.four, 4), mpls)));
  }
  const Scene& s = operators96();
  const auto large = to_peer(s, udp(counting(1200)));
  const auto small = to_peer(s, udp(counting(40)));
  // The first n bytes of IPv6, and what they become.
  const auto cut = [&](std::size_t n) { return Datagram{padded(head(large.four, n - 20), 4), head(large.six, n)}; };
  const auto least = cut(128);
  for (const std::size_t size : {128U, 144U, 152U, 160U, 1040U}) {
    const auto [four, six] = cut(size);
    table.push_back(in("J9", "cut datagram of " + std::to_string(size) + " bytes", s, extended6({3, 0}, six, mpls),
                       extended4({11, 0}, four, mpls)));
  }
  table.push_back(in("J9", "short datagram with padding", s, extended6({1, 0}, padded(small.six, 8), mpls),
                     extended4({3, 1}, padded(small.four, 4), mpls)));
  table.push_back(in("J9", "unused bytes beside the attribute", s, extended6({1, 0, 0x0000ffff}, least.six, mpls),
                     extended4({3, 1}, least.four, mpls)));
  table.push_back(in("D5", "wrong checksum of an icmpv6 error with an extension stays wrong", s,
                     extended6({3, 0}, least.six, mpls, Sum::wrong), extended4({11, 0}, least.four, mpls, Sum::wrong)));
  table.push_back(trailed(in("G19", "bytes behind payload length of an error with an extension", s,
                             extended6({3, 0}, least.six, mpls), extended4({11, 0}, least.four, mpls))));
  {
    auto six = out6(s);
    six.hop_limit = out4(s).ttl;
    six.chain_first = 60;
    six.chain = Bytes{44, 0, 1, 4, 0, 0, 0, 0} + fragment_header(17, 0, true, kFragmentId);
    const auto whole = udp(counting(192));
    table.push_back(in("J9", "datagram that is a fragment behind options", s,
                       extended6({3, 0}, packet(six, piece(six, whole, 0, 104)), mpls),
                       extended4({11, 0}, padded(piece4(out4(s), whole, {0, 104, true}), 4), mpls)));
  }
  // 255 words are 1020 bytes.
  for (const std::size_t size : {1048U, 1168U, 1176U}) {
    table.push_back(in("J11", "datagram of " + std::to_string(size) + " bytes is cut", s,
                       extended6({3, 0}, head(large.six, size), mpls),
                       extended4({11, 0}, head(large.four, 1020), mpls)));
  }
}

}  // namespace

void add_icmp_extensions(std::vector<Vector>& table) {
  add_to_ipv6(table);
  add_wrong_attributes(table);
  add_sizes(table);
  add_to_ipv4(table);
}

}  // namespace clat::test
