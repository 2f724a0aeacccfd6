// Programs of one build run on maps that another build pinned when both have one CLAT_ABI_VERSION.
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "bpf/clat_abi.h"

namespace {

// FNV-1a of the header's code: no comments, no white space, and not the version itself.
std::uint64_t hash_of(std::string text) {
  text = std::regex_replace(text, std::regex("//[^\n]*"), "");
  text = std::regex_replace(text, std::regex("#define CLAT_ABI_VERSION [0-9]+"), "");
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

// One for each version there was. They are added, never changed.
const std::map<unsigned, std::uint64_t> kHashes{
    {1, 0x67fd987f9aa865e2}, {2, 0x8b5c3b7848fc2911}, {3, 0xf6920a99daf4ca04}, {4, 0xec32888c6b609a08},
    {5, 0xb19d6e1f17f72231}, {6, 0x0c85b9942f650be1}, {7, 0x188afe743f87dba2},
};

TEST(AbiTest, EveryChangeRaisesTheVersion) {
  std::ifstream file(CLAT_ABI_HEADER);
  ASSERT_TRUE(file) << CLAT_ABI_HEADER;
  std::ostringstream text;
  text << file.rdbuf();
  const auto hash = hash_of(text.str());
  ASSERT_EQ(kHashes.rbegin()->first, CLAT_ABI_VERSION)
      << "add {" << CLAT_ABI_VERSION << ", 0x" << std::hex << hash << "}";
  EXPECT_EQ(kHashes.at(CLAT_ABI_VERSION), hash) << "clat_abi.h changed: raise CLAT_ABI_VERSION, and add {"
                                                << CLAT_ABI_VERSION + 1 << ", 0x" << std::hex << hash << "} here";
}

TEST(AbiTest, NoTwoVersionsAreTheSame) {
  std::map<std::uint64_t, unsigned> versions;
  for (const auto& [version, hash] : kHashes) EXPECT_TRUE(versions.emplace(hash, version).second) << version;
}

TEST(AbiTest, TheHashSeesCodeOnly) {
  const std::string code = "struct a {\n  int b;  // bytes\n};\n#define CLAT_ABI_VERSION 7\n";
  EXPECT_EQ(hash_of(code), hash_of("struct a { int b; };\n// A comment.\n#define CLAT_ABI_VERSION 8\n"));
  EXPECT_NE(hash_of(code), hash_of("struct a { long b; };\n"));
}

}  // namespace
