// Writes the vectors as seeds for xlat_fuzz: xlat_corpus FOLDER.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/support/vector_parts.hpp"
#include "tests/support/vectors.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: xlat_corpus FOLDER\n");
    return 64;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const auto& scenes = clat::test::scenes();
  for (const auto& vector : clat::test::vectors()) {
    std::uint8_t scene = 0;
    while (scene + 1U < scenes.size() && scenes[scene].clat().prefix != vector.clat.prefix) ++scene;
    char vnet[sizeof vector.vnet];
    std::memcpy(vnet, &vector.vnet, sizeof vnet);
    std::ofstream file(folder / clat::test::test_name(vector), std::ios::binary);
    file.put(static_cast<char>(scene)).write(vnet, sizeof vnet);
    file.write(reinterpret_cast<const char*>(vector.input.data()), static_cast<std::streamsize>(vector.input.size()));
    if (!file.flush()) return 74;
  }
  return 0;
}
