#include "fixture.hpp"

#include <gtest/gtest.h>

namespace clat::config {

Surroundings paper_machine() {
  return {{"/opt/bin/clatd", "/opt/libexec/clatvisor/clatd"},
          [](const std::string& path) { return path == "/opt/bin/clatd" || path == "/usr/sbin/clatd"; },
          [](const std::string& user) -> std::optional<Account> {
            if (user == "nobody") return Account{65534, 65534};
            if (user == "clat") return Account{100, 101};
            if (user == "root") return Account{0, 0};
            return std::nullopt;
          },
          [](const std::string& group) -> std::optional<std::uint32_t> {
            return group == "adm" ? std::optional<std::uint32_t>(4) : std::nullopt;
          }};
}

std::string report(std::string_view text, const Surroundings& surroundings) {
  const auto parsed = parse(text, surroundings);
  return parsed ? "" : render("f", parsed.error());
}

std::string report(std::string_view text) { return report(text, paper_machine()); }

Config config_of(std::string_view text) {
  const auto parsed = parse(text, paper_machine());
  if (parsed) return *parsed;
  ADD_FAILURE() << render("f", parsed.error());
  return {};
}

std::string wan0(std::string_view line_four) {
  std::string text = "interfaces:\n  wan0:\n    nat64-prefix: 64:ff9b::/96\n";
  if (!line_four.empty()) text.append("    ").append(line_four).append("\n");
  return text;
}

}  // namespace clat::config
