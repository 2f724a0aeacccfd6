#include "supervisor/options.hpp"

#include <string_view>

namespace clat {

std::expected<Options, std::string> parse_options(std::span<const char* const> words) {
  Options options;
  const auto choose = [&options](Command command) -> bool {
    if (options.command != Command::run && options.command != command) return false;
    options.command = command;
    return true;
  };
  constexpr std::string_view kConfig = "--config";
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    bool fits = true;
    if (word == "--help" || word == "-h") return Options{Command::help, options.config};
    if (word == "--version") return Options{Command::version, options.config};
    if (word == "--check") {
      fits = choose(Command::check);
    } else if (word == "--cleanup") {
      fits = choose(Command::cleanup);
    } else if (word == kConfig) {
      if (++i == words.size()) return std::unexpected("--config needs a file");
      options.config = words[i];
    } else if (word.starts_with("--config=")) {
      options.config = word.substr(kConfig.size() + 1);
    } else {
      return std::unexpected("unknown argument '" + std::string(word) + "'");
    }
    if (!fits) return std::unexpected("--check and --cleanup do not go together");
  }
  if (options.config.empty()) return std::unexpected("--config needs a file");
  return options;
}

const char* help_text() {
  return "usage: clatvisor [--config FILE] [--check | --cleanup]\n"
         "\n"
         "Gives IPv6-only uplinks working IPv4 (464XLAT). Runs in the foreground until SIGTERM.\n"
         "\n"
         "  --config FILE  what to do; default " CLATVISOR_CONFIG
         "\n"
         "  --check        read the file, say what is wrong with it, change nothing\n"
         "  --cleanup      take away what a killed clatvisor left behind\n"
         "  --version      print the version\n"
         "  --help         print this\n"
         "\n"
         "Signals: HUP reload the file and reopen the log; TERM, INT stop and remove everything;\n"
         "         USR1 dump the state to the log; USR2 exit, leaving all in place for a successor.\n"
         "Exit codes: 0 clean stop, 64 usage, 70 internal error, 71 privileges, /dev/net/tun or state directory,\n"
         "            78 the config file.\n";
}

}  // namespace clat
