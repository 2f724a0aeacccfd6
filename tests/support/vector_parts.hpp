// What the parts of the table share. Not for users of the table.
#pragma once

#include "tests/support/vectors.hpp"

namespace clat::test {

// A CLAT and one peer, with the peer's IPv6 address spelled out rather than computed.
struct Scene {
  std::string name;
  std::string v4, v6, prefix;
  unsigned length;
  std::string peer4, peer6;

  [[nodiscard]] Clat clat() const;
};

// The examples of RFC 6052 §2.4, none of them checksum-neutral, and the Well-Known Prefix with a neutral address.
const std::vector<Scene>& scenes();
const Scene& neutral();      // 64:ff9b::/96, sum of the CLAT's IPv6 address equal to that of its IPv4 address
const Scene& operators96();  // 2001:db8:122:344::/96, not neutral

// IPv4 header from the CLAT to the peer; IPv6 header as it leaves, hop limit one less.
Ip4 out4(const Scene& scene);
Ip6 out6(const Scene& scene);
// IPv6 header from the peer to the CLAT; IPv4 header as it arrives.
Ip6 in6(const Scene& scene);
Ip4 in4(const Scene& scene);

Vector to_ipv6(const char* id, std::string description, const Scene& scene, Bytes input, Bytes expected);
Vector to_ipv4(const char* id, std::string description, const Scene& scene, Bytes input, Bytes expected);
Vector on(FastPath fast_path, Vector vector);

Vector drop6(const char* id, std::string description, const Scene& scene, Bytes input, xlat::Verdict verdict);
Vector drop4(const char* id, std::string description, const Scene& scene, Bytes input, xlat::Verdict verdict);

// With bytes behind the end of the IP packet, as Ethernet leaves them.
Vector trailed(Vector vector);
Vector with_mtus(Vector vector, const xlat::Mtus& mtus);
// Of the translation, the Identification counts too: it is that of a fragment.
Vector exact(Vector vector);

// Type, code, and the four bytes behind the checksum.
struct Icmp {
  std::uint8_t type = 0, code = 0;
  std::uint32_t rest = 0;
};
Segment icmp4(const Icmp& icmp, const Bytes& data, Sum sum = Sum::right);
Segment icmp6(const Icmp& icmp, const Bytes& data, Sum sum = Sum::right);

// The drop, answered with an ICMP error of the translator's own to the scene's host in the packet's family. `quote`:
// what of the input is quoted, as far as it fits; all of it when empty, bytes behind the IP packet's end left out.
Vector answered(Vector drop, const Scene& scene, const Icmp& icmp, Bytes quote = {});

// One datagram in both families, with equal hop limits: inside an ICMP error nothing is decremented.
struct Datagram {
  Bytes four, six;
};
Datagram from_peer(const Scene& scene, const Segment& four, const Segment& six);  // what the CLAT's errors quote
Datagram to_peer(const Scene& scene, const Segment& four, const Segment& six);    // what errors to the CLAT quote
inline Datagram from_peer(const Scene& scene, const Segment& both) { return from_peer(scene, both, both); }
inline Datagram to_peer(const Scene& scene, const Segment& both) { return to_peer(scene, both, both); }

// ICMP errors between the CLAT and the peer.
Vector error6(const char* id, std::string description, const Scene& scene, const Icmp& four, const Bytes& quoted4,
              const Icmp& six, const Bytes& quoted6, Sum sum = Sum::right);
Vector error4(const char* id, std::string description, const Scene& scene, const Icmp& six, const Bytes& quoted6,
              const Icmp& four, const Bytes& quoted4, Sum sum = Sum::right);

// Bytes [from, from + size) of a datagram's payload.
struct Cut {
  std::size_t from, size;
  bool more;
};
inline constexpr std::uint16_t kFragmentId = 0xbeef;
Bytes piece4(Ip4 header, const Segment& whole, const Cut& cut, std::uint16_t id = kFragmentId);
Bytes piece6(Ip6 header, const Segment& whole, const Cut& cut, std::uint32_t id, std::uint8_t reserved = 0);

void add_headers_to_ipv6(std::vector<Vector>& table);
void add_headers_to_ipv4(std::vector<Vector>& table);
void add_options(std::vector<Vector>& table);
void add_extension_headers(std::vector<Vector>& table);
void add_fragments(std::vector<Vector>& table);
void add_protocols(std::vector<Vector>& table);
void add_transport(std::vector<Vector>& table);
void add_addresses(std::vector<Vector>& table);
void add_offloads(std::vector<Vector>& table);
void add_malformed(std::vector<Vector>& table);
void add_answers(std::vector<Vector>& table);
void add_fragmenting(std::vector<Vector>& table);
void add_icmp_errors_to_ipv6(std::vector<Vector>& table);
void add_icmp_errors_to_ipv4(std::vector<Vector>& table);
void add_quotes(std::vector<Vector>& table);
void add_quotes_to_ipv6(std::vector<Vector>& table);
void add_quotes_to_ipv4(std::vector<Vector>& table);
void add_icmp_extensions(std::vector<Vector>& table);
void add_ranges(std::vector<Vector>& table);
void add_peers(std::vector<Vector>& table);

}  // namespace clat::test
