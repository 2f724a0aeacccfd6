// The conformance table: packets, and what RFC 7915 makes of them. The userspace translator and the BPF programs are
// both held against it. Expected bytes are built from the RFC's text by tests/support/packet.hpp, never by core/xlat.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"
#include "core/xlat/translator.hpp"
#include "core/xlat/verdict.hpp"
#include "core/xlat/vnet.hpp"
#include "tests/support/packet.hpp"

namespace clat::test {

enum class Direction : std::uint8_t { to_ipv6, to_ipv4 };

// What the BPF programs must do with it.
enum class FastPath : std::uint8_t {
  translates,  // gives the expected packet
  punts,       // hands the packet to clatd, unchanged
  passes,      // not for the CLAT address: leaves it to the host, unchanged
  either,      // punts it, or drops it when the verdict is a drop
};

struct Clat {
  Ipv4Address v4;
  Ipv6Address v6;
  Nat64Prefix prefix;
  xlat::Mtus mtus = {};
  std::vector<RangeMapping> ranges = {};
  bool allow_private_ipv4 = false;
  // False: the rate of the translator's own ICMP errors is used up.
  bool may_answer = true;

  [[nodiscard]] xlat::Settings settings(std::uint16_t first_identification = 0) const;
};

struct Vector {
  std::string id;           // row of the conformance checklist, like "A2"; more rows may share a letter and number
  std::string description;  // unique together with the id
  Direction direction = Direction::to_ipv6;
  Clat clat;
  Bytes input;  // from the IP header on
  xlat::VnetHeader vnet = {};
  xlat::Verdict verdict = xlat::Verdict::translated;
  // What comes out, in order: the translation, in one packet or in fragments, or with any other verdict the ICMP error
  // that answers. Empty: nothing does.
  std::vector<Bytes> expected = {};
  xlat::VnetHeader expected_vnet = {};  // of each
  FastPath fast_path = FastPath::translates;
  // The Identification of an expected IPv4 packet is the translator's choice (RFC 7915 §5.1).
  bool any_identification = false;

  [[nodiscard]] bool is_translated() const { return verdict == xlat::Verdict::translated; }
};

const std::vector<Vector>& vectors();

// Empty when `actual` is the expected packet number `index`, else both in hex. Where any Identification will do, that
// field is not compared, and the header checksum must be right for the one chosen.
std::string mismatch(const Vector& vector, std::span<const std::uint8_t> actual, std::size_t index = 0);

// Letters, digits and underscores: usable as the name of a parameterized test.
std::string test_name(const Vector& vector);

}  // namespace clat::test
