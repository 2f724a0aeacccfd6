// Writes seeds for xlat_fuzz, the vectors and echoes in fragments: xlat_corpus FOLDER.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/support/vector_parts.hpp"
#include "xlat_settings.hpp"

namespace {

using namespace clat;

std::filesystem::path folder;

bool write_seed(const std::string& name, const test::Clat& clat, const std::vector<test::Bytes>& packets,
                const xlat::VnetHeader& vnet = {}) {
  const auto& settings = test::all_settings();
  const auto number = std::ranges::find_if(settings, [&](const auto& s) { return test::same_settings(s, clat); });
  std::ofstream file(folder / name, std::ios::binary);
  file.put(static_cast<char>(number - settings.begin()));
  for (const auto& packet : packets) {
    const test::Preamble preamble{vnet, static_cast<std::uint16_t>(std::min<std::size_t>(packet.size(), 0xffff))};
    file.write(reinterpret_cast<const char*>(&preamble), sizeof preamble);
    file.write(reinterpret_cast<const char*>(packet.data()), preamble.size);
  }
  return static_cast<bool>(file.flush());
}

bool write_echo(const test::Scene& scene) {
  const auto four = test::icmp4(8, 0, 7, test::counting(201)), six = test::icmp6(129, 0, 7, test::counting(201));
  std::vector<test::Bytes> out, in;
  for (const test::Cut& cut : {test::Cut{0, 64, true}, {64, 128, true}, {192, 17, false}}) {
    out.push_back(test::piece4(test::out4(scene), four, cut));
    in.push_back(test::piece6(test::in6(scene), six, cut, test::kFragmentId));
  }
  const auto name = "echo_" + std::to_string(&scene - test::scenes().data());
  return write_seed(name + "_out", scene.clat(), out) && write_seed(name + "_in", scene.clat(), in) &&
         write_seed(name + "_out_reversed", scene.clat(), {out.rbegin(), out.rend()}) &&
         write_seed(name + "_in_reversed", scene.clat(), {in.rbegin(), in.rend()});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: xlat_corpus FOLDER\n");
    return 64;
  }
  folder = argv[1];
  std::filesystem::create_directories(folder);
  if (test::all_settings().size() > 256) return 70;  // one byte names them
  for (const auto& vector : test::vectors()) {
    if (!write_seed(test::test_name(vector), vector.clat, {vector.input}, vector.vnet)) return 74;
  }
  return std::ranges::all_of(test::scenes(), write_echo) ? 0 : 74;
}
