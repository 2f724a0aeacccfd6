// Writes the vectors as seeds for xlat_fuzz: xlat_corpus FOLDER.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "xlat_settings.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: xlat_corpus FOLDER\n");
    return 64;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const auto& settings = clat::test::all_settings();
  if (settings.size() > 256) return 70;  // one byte names them
  for (const auto& vector : clat::test::vectors()) {
    const auto number =
        std::ranges::find_if(settings, [&](const auto& clat) { return clat::test::same_settings(clat, vector.clat); });
    char vnet[sizeof vector.vnet];
    std::memcpy(vnet, &vector.vnet, sizeof vnet);
    std::ofstream file(folder / clat::test::test_name(vector), std::ios::binary);
    file.put(static_cast<char>(number - settings.begin())).write(vnet, sizeof vnet);
    file.write(reinterpret_cast<const char*>(vector.input.data()), static_cast<std::streamsize>(vector.input.size()));
    if (!file.flush()) return 74;
  }
  return 0;
}
