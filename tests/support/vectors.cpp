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

}  // namespace

Clat Scene::clat() const {
  Clat clat{{}, {}, prefix_of(prefix, length)};
  std::ranges::copy(address4(v4), clat.v4.bytes.begin());
  std::ranges::copy(address6(v6), clat.v6.bytes.begin());
  return clat;
}

xlat::Settings Clat::settings(std::uint16_t first_identification) const {
  return {v4, v6, prefix, first_identification, mtus, ranges, private_in_wkp};
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

Vector may_punt(Vector vector) {
  vector.fast_path = FastPath::either;
  return vector;
}

Vector drop6(const char* id, std::string description, const Scene& scene, Bytes input, xlat::Verdict verdict) {
  auto vector = to_ipv6(id, std::move(description), scene, std::move(input), {});
  vector.verdict = verdict;
  vector.fast_path = FastPath::either;
  return vector;
}

Vector drop4(const char* id, std::string description, const Scene& scene, Bytes input, xlat::Verdict verdict) {
  auto vector = drop6(id, std::move(description), scene, std::move(input), verdict);
  vector.direction = Direction::to_ipv4;
  return vector;
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
