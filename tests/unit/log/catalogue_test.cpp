// Code and documentation name the same events.
#include "supervisor/log/catalogue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace clat {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

// The first group of every match.
std::vector<std::string> all_matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern, std::regex::ECMAScript | std::regex::multiline);
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), regex); at != std::sregex_iterator(); ++at) {
    found.push_back((*at)[1]);
  }
  return found;
}

std::vector<std::string> catalogue() { return {events::kAll.begin(), events::kAll.end()}; }

const fs::path kSource = CLAT_SOURCE_DIR;

TEST(Catalogue, ListsEveryConstantOnceInTheOrderOfTheHeader) {
  const auto constants =
      all_matches(contents(kSource / "supervisor/log/catalogue.hpp"), R"re(std::string_view k\w+ = "([^"]*)")re");
  EXPECT_EQ(catalogue(), constants);
  EXPECT_EQ(std::set(constants.begin(), constants.end()).size(), constants.size());
}

TEST(Catalogue, NamesAreLowerCaseAndDotted) {
  for (const auto& name : catalogue()) {
    EXPECT_TRUE(std::regex_match(name, std::regex(R"([a-z]+(\.[a-z]+)?)"))) << name;
  }
}

TEST(Catalogue, IsWhatTheDocumentationLists) {
  EXPECT_EQ(catalogue(), all_matches(contents(kSource / "docs/events.md"), "^- `([^`]*)`"));
}

TEST(Catalogue, EveryEntryOfTheDocumentationNamesALevel) {
  const auto entries = all_matches(contents(kSource / "docs/events.md"), "^- `[^`]*` (\\w+)");
  EXPECT_EQ(entries.size(), events::kAll.size());
  for (const auto& level : entries) {
    EXPECT_TRUE(std::set<std::string>({"debug", "info", "warn", "error"}).contains(level)) << level;
  }
}

TEST(Catalogue, NoSourceSpellsAnEventNameItself) {
  const auto names = catalogue();
  // "health" and the like are also words; as the event of an entry they are found by the second pattern.
  const std::regex literal(R"re("([a-z]+\.[a-z]+)")re");
  const std::regex note(R"re(Severity::\w+,\s*")re");
  std::size_t files = 0;
  for (const char* folder : {"core", "bpf", "config", "supervisor"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(kSource / folder, fs::directory_options::follow_directory_symlink)) {
      const auto extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".hpp") continue;
      if (entry.path().filename() == "catalogue.hpp") continue;
      const std::string text = contents(entry.path());
      ++files;
      for (std::sregex_iterator at(text.begin(), text.end(), literal); at != std::sregex_iterator(); ++at) {
        EXPECT_EQ(std::ranges::count(names, (*at)[1].str()), 0) << entry.path() << ": " << (*at)[0];
      }
      EXPECT_FALSE(std::regex_search(text, note)) << entry.path() << ": an entry with a literal event name";
    }
  }
  EXPECT_GT(files, 20U);
}

}  // namespace
}  // namespace clat
