// The conformance table as JSON, one row a line, and whether the translator meets it:
//   vectors_dump          every row
//   vectors_dump --red    only the names of rows that it does not meet
#include <cstdio>
#include <string_view>

#include "tests/support/vectors.hpp"
#include "xlat_run.hpp"

namespace {

using namespace clat;

bool is_met(const test::Vector& vector) {
  auto translator = xlat::make(vector.clat);
  const auto outcome = xlat::run(translator, vector.input, vector.vnet, vector.clat.may_answer);
  if (outcome.verdict != vector.verdict || outcome.packets.size() != vector.expected.size()) return false;
  for (std::size_t i = 0; i < outcome.packets.size(); ++i) {
    if (!test::mismatch(vector, outcome.packets[i].bytes, i).empty()) return false;
    if (outcome.packets[i].vnet != vector.expected_vnet) return false;
  }
  return true;
}

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }
std::string hex(const test::Bytes& bytes) {
  std::string text;
  for (const auto byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return quoted(text);
}

// Ids and descriptions hold neither quotes nor backslashes.
void print(const test::Vector& vector) {
  const auto& clat = vector.clat;
  const bool to_ipv6 = vector.direction == test::Direction::to_ipv6;
  std::string expected;
  for (const auto& packet : vector.expected) expected += (expected.empty() ? "" : ", ") + hex(packet);
  const bool unusual = !clat.ranges.empty() || clat.allow_private_ipv4 || !clat.may_answer;
  std::printf(R"({"id": "%s", "description": "%s", "to": %d, "v4": "%s", "v6": "%s", "prefix": "%s", )"
              R"("mtus": [%u, %u, %u], "unusual": %s, "offloads": %s, "verdict": "%s", "any_identification": %s, )"
              R"("input": %s, "expected": [%s], "met": %s})"
              "\n",
              vector.id.c_str(), vector.description.c_str(), to_ipv6 ? 6 : 4, clat.v4.text().c_str(),
              clat.v6.text().c_str(), clat.prefix.text().c_str(), clat.mtus.ipv6, clat.mtus.ipv4, clat.mtus.lowest_ipv6,
              unusual ? "true" : "false", vector.vnet == xlat::VnetHeader{} ? "false" : "true",
              std::string(name(vector.verdict)).c_str(), vector.any_identification ? "true" : "false",
              hex(vector.input).c_str(), expected.c_str(), is_met(vector) ? "true" : "false");
}

}  // namespace

int main(int argc, char** argv) {
  const bool red_only = argc == 2 && std::string_view(argv[1]) == "--red";
  if (argc > 1 && !red_only) {
    std::fprintf(stderr, "usage: vectors_dump [--red]\n");
    return 64;
  }
  for (const auto& vector : test::vectors()) {
    if (!red_only) {
      print(vector);
    } else if (!is_met(vector)) {
      std::printf("%s\n", test::test_name(vector).c_str());
    }
  }
  return 0;
}
