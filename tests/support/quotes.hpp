// Rows about the packet inside ICMP errors of one direction. Not for users of the table.
#pragma once

#include "tests/support/vector_parts.hpp"

namespace clat::test {

class Quotes {
 public:
  Quotes(std::vector<Vector>& table, Direction direction);

  [[nodiscard]] const char* id(const char* to_ipv6, const char* to_ipv4) const { return to_ipv6_ ? to_ipv6 : to_ipv4; }

  // Headers of what is quoted in both families, with equal hop limits.
  [[nodiscard]] Ip4 four(const Scene& scene) const;
  [[nodiscard]] Ip6 six(const Scene& scene) const;
  [[nodiscard]] Datagram of(const Scene& scene, const Segment& four, const Segment& six) const;
  [[nodiscard]] Datagram of(const Scene& scene, const Segment& both) const { return of(scene, both, both); }
  [[nodiscard]] Datagram piece(const Scene& scene, const Segment& four, const Segment& six, const Cut& cut) const;
  [[nodiscard]] Datagram piece(const Scene& scene, const Segment& both, const Cut& cut) const {
    return piece(scene, both, both, cut);
  }
  // The first n bytes behind the IP headers. A checksum field of which only half is there stays as it came.
  [[nodiscard]] Datagram cut(Datagram whole, std::size_t n, std::size_t checksum_at) const;

  // Port unreachable about it is translated, or dropped.
  void add(const char* id, std::string text, const Scene& scene, const Datagram& quote);
  void refuse(const char* id, std::string text, const Scene& scene, const Bytes& quote);

 private:
  std::vector<Vector>& table_;
  bool to_ipv6_;
};

}  // namespace clat::test
