// Any bytes: parsing ends, and what it says about them can be shown on a terminal and in a log.
#include <cstdint>
#include <string_view>

#include "config/parse.hpp"
#include "config/text.hpp"
#include "require.hpp"

using clat::test::require;

namespace {

using namespace clat::config;

bool is_harmless(std::string_view text) {
  while (!text.empty()) {
    const auto character = clat::decode_utf8(text);
    if (!is_allowed(character) || character.code < 0x20) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Surroundings kMachine{{"/bin/clatd"},
                                     [](const std::string& path) { return path == "/bin/clatd"; },
                                     [](const std::string&) { return Account{65534, 65534}; },
                                     [](const std::string&) { return std::uint32_t{65534}; }};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse(text, kMachine);
  if (parsed) {
    require(!parsed->interfaces.empty());
    for (const Interface& interface : parsed->interfaces) require(tun_name(interface.name).size() <= 15);
    return 0;
  }
  require(!parsed.error().empty());
  for (const Problem& problem : parsed.error()) {
    require(problem.line >= 1 && problem.column >= 1 && !problem.reason.empty() && problem.caret <= 120);
    require(is_harmless(problem.reason) && is_harmless(problem.source_line));
  }
  require(render("f", parsed.error()).ends_with('\n'));
  return 0;
}
