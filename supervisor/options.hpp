// The command line of clatvisor, as a pure function.
#pragma once

#include <expected>
#include <span>
#include <string>

namespace clat {

enum class Command { run, check, cleanup, version, help };

struct Options {
  Command command = Command::run;
  std::string config = CLATVISOR_CONFIG;
  bool operator==(const Options&) const = default;
};

// `words` without argv[0]. The error is one line, without a newline.
std::expected<Options, std::string> parse_options(std::span<const char* const> words);

const char* help_text();

}  // namespace clat
