#include "tests/support/vectors.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "tests/support/vector_parts.hpp"

namespace clat::test {

namespace {

Nat64Prefix prefix_of(const std::string& address, unsigned length) {
  Ipv6Address bytes;
  std::ranges::copy(address6(address), bytes.bytes.begin());
  auto prefix = Nat64Prefix::make(bytes, length);
  if (!prefix) throw std::logic_error(prefix.error().text());
  return *prefix;
}

// Without what stands behind its end.
Bytes ip_packet(const Bytes& bytes) {
  const std::size_t at = bytes.at(0) >> 4 == 4 ? 2 : 4;
  return head(bytes, (at == 2 ? 0 : 40) + bytes.at(at) * 256U + bytes.at(at + 1));
}

}  // namespace

Clat Scene::clat() const {
  Clat clat{{}, {}, prefix_of(prefix, length)};
  std::ranges::copy(address4(v4), clat.v4.bytes.begin());
  std::ranges::copy(address6(v6), clat.v6.bytes.begin());
  return clat;
}

xlat::Settings Clat::settings(std::uint16_t first_identification) const {
  return {v4, v6, prefix, first_identification, mtus, ranges, allow_private_ipv4};
}

const std::vector<Scene>& scenes() {
  static const std::vector<Scene> all{
      {"/32", "192.0.0.4", "2001:db9:1:2::c1a7", "2001:db8::", 32, "192.0.2.33", "2001:db8:c000:221::"},
      {"/40", "192.0.0.4", "2001:db9:1:2::c1a7", "2001:db8:100::", 40, "192.0.2.33", "2001:db8:1c0:2:21::"},
      {"/48", "192.0.0.4", "2001:db9:1:2::c1a7", "2001:db8:122::", 48, "192.0.2.33", "2001:db8:122:c000:2:2100::"},
      {"/56", "192.0.0.4", "2001:db9:1:2::c1a7", "2001:db8:122:300::", 56, "192.0.2.33", "2001:db8:122:3c0:0:221::"},
      {"/64", "192.0.0.4", "2001:db9:1:2::c1a7", "2001:db8:122:344::", 64, "192.0.2.33",
       "2001:db8:122:344:c0:2:2100::"},
      {"/96", "192.0.0.4", "2001:db9:1:2::c1a7", "2001:db8:122:344::", 96, "192.0.2.33", "2001:db8:122:344::c000:221"},
      // 2001 + 0db9 + 0001 + 0002 + aaaa + e79b + 0001 = 1c003, folded c004 = c000 + 0004; the prefix adds ffff,
      // nothing.
      {"neutral", "192.0.0.4", "2001:db9:1:2:aaaa:e79b:1:0", "64:ff9b::", 96, "192.0.2.33", "64:ff9b::c000:221"},
  };
  return all;
}
const Scene& neutral() { return scenes()[6]; }
const Scene& operators96() { return scenes()[5]; }

Ip4 out4(const Scene& scene) { return {.source = scene.v4, .destination = scene.peer4}; }
Ip6 out6(const Scene& scene) { return {.source = scene.v6, .destination = scene.peer6, .hop_limit = 63}; }
Ip6 in6(const Scene& scene) { return {.source = scene.peer6, .destination = scene.v6}; }
Ip4 in4(const Scene& scene) { return {.source = scene.peer4, .destination = scene.v4, .ttl = 63}; }

Vector to_ipv6(const char* id, std::string description, const Scene& scene, Bytes input, Bytes expected) {
  return {.id = id,
          .description = std::move(description),
          .direction = Direction::to_ipv6,
          .clat = scene.clat(),
          .input = std::move(input),
          .expected = expected.empty() ? std::vector<Bytes>{} : std::vector<Bytes>(1, std::move(expected))};
}

Vector to_ipv4(const char* id, std::string description, const Scene& scene, Bytes input, Bytes expected) {
  auto vector = to_ipv6(id, std::move(description), scene, std::move(input), std::move(expected));
  vector.direction = Direction::to_ipv4;
  vector.any_identification = true;
  return vector;
}

Vector on(FastPath fast_path, Vector vector) {
  vector.fast_path = fast_path;
  return vector;
}

Vector drop6(const char* id, std::string description, const Scene& scene, Bytes input, xlat::Verdict verdict) {
  auto vector = on(FastPath::either, to_ipv6(id, std::move(description), scene, std::move(input), {}));
  vector.verdict = verdict;
  return vector;
}

Vector drop4(const char* id, std::string description, const Scene& scene, Bytes input, xlat::Verdict verdict) {
  auto vector = drop6(id, std::move(description), scene, std::move(input), verdict);
  vector.direction = Direction::to_ipv4;
  return vector;
}

Vector trailed(Vector vector) {
  vector.input = vector.input + counting(7, 0x77);
  return vector;
}

Vector with_mtus(Vector vector, const xlat::Mtus& mtus) {
  vector.clat.mtus = mtus;
  return vector;
}

Vector exact(Vector vector) {
  vector.any_identification = false;
  return vector;
}

Segment icmp4(const Icmp& icmp, const Bytes& data, Sum sum) {
  return icmp4(icmp.type, icmp.code, icmp.rest, data, sum);
}
Segment icmp6(const Icmp& icmp, const Bytes& data, Sum sum) {
  return icmp6(icmp.type, icmp.code, icmp.rest, data, sum);
}

Vector answered(Vector drop, const Scene& scene, const Icmp& icmp, Bytes quote) {
  if (quote.empty()) quote = ip_packet(drop.input);
  if (drop.direction == Direction::to_ipv6) {
    // RFC 1812 §4.3.2.3: 576 bytes at most; §4.3.2.5: precedence 6.
    const Ip4 header{.source = "192.0.0.8", .destination = scene.v4, .tos = 0xc0};
    drop.expected = {packet(header, icmp4(icmp, head(quote, 576 - 20 - 8)))};
    drop.any_identification = true;
  } else {
    // RFC 4443 §2.4 (c): 1280 bytes at most.
    drop.expected = {packet(Ip6{.source = drop.clat.v6.text(), .destination = scene.peer6},
                            icmp6(icmp, head(quote, 1280 - 40 - 8)))};
  }
  return on(FastPath::punts, std::move(drop));
}

Datagram from_peer(const Scene& scene, const Segment& four, const Segment& six) {
  auto header = in4(scene);
  header.ttl = in6(scene).hop_limit;
  return {packet(header, four), packet(in6(scene), six)};
}
Datagram to_peer(const Scene& scene, const Segment& four, const Segment& six) {
  auto header = out6(scene);
  header.hop_limit = out4(scene).ttl;
  return {packet(out4(scene), four), packet(header, six)};
}

Vector error6(const char* id, std::string description, const Scene& scene, const Icmp& four, const Bytes& quoted4,
              const Icmp& six, const Bytes& quoted6, Sum sum) {
  return to_ipv6(id, std::move(description), scene, packet(out4(scene), icmp4(four, quoted4, sum)),
                 packet(out6(scene), icmp6(six, quoted6, sum)));
}
Vector error4(const char* id, std::string description, const Scene& scene, const Icmp& six, const Bytes& quoted6,
              const Icmp& four, const Bytes& quoted4, Sum sum) {
  return to_ipv4(id, std::move(description), scene, packet(in6(scene), icmp6(six, quoted6, sum)),
                 packet(in4(scene), icmp4(four, quoted4, sum)));
}

const std::vector<Vector>& vectors() {
  static const auto all = [] {
    std::vector<Vector> table;
    add_headers_to_ipv6(table);
    add_headers_to_ipv4(table);
    add_options(table);
    add_extension_headers(table);
    add_fragments(table);
    add_protocols(table);
    add_transport(table);
    add_addresses(table);
    add_offloads(table);
    add_malformed(table);
    add_answers(table);
    add_fragmenting(table);
    add_icmp_errors_to_ipv6(table);
    add_icmp_errors_to_ipv4(table);
    add_quotes(table);
    add_quotes_to_ipv6(table);
    add_quotes_to_ipv4(table);
    add_icmp_extensions(table);
    add_ranges(table);
    add_peers(table);
    return table;
  }();
  return all;
}

std::string mismatch(const Vector& vector, std::span<const std::uint8_t> actual, std::size_t index) {
  const auto& expected = vector.expected.at(index);
  Bytes bytes(actual.begin(), actual.end());
  if (vector.any_identification && bytes.size() >= 20 && bytes[0] >> 4 == 4) {
    if (const auto fault = checksum_fault(bytes, true); !fault.empty()) return fault + " in\n" + hex(bytes);
    for (const std::size_t at : {4, 5, 10, 11}) bytes[at] = expected.at(at);
  }
  if (bytes == expected) return {};
  const auto [left, right] = std::ranges::mismatch(bytes, expected);
  return "first difference at byte " + std::to_string(left - bytes.begin()) + "; got " + std::to_string(actual.size()) +
         " bytes\n" + hex(actual) + "\nexpected " + std::to_string(expected.size()) + "\n" + hex(expected);
}

std::string test_name(const Vector& vector) {
  std::string text = vector.id + "_" + vector.description;
  std::ranges::replace_if(text, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return text;
}

}  // namespace clat::test
