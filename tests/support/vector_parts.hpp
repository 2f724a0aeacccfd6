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
// The fast path may leave it to clatd.
Vector may_punt(Vector vector);

Vector drop6(const char* id, std::string description, const Scene& scene, Bytes input, xlat::Verdict verdict);
Vector drop4(const char* id, std::string description, const Scene& scene, Bytes input, xlat::Verdict verdict);

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

}  // namespace clat::test
