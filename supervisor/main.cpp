// clatvisor: reads its arguments and its config, makes sure that it can work, and runs the Supervisor.
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <span>
#include <string>

#include "bpf/fast_path.hpp"
#include "config/parse.hpp"
#include "supervisor/loop/signals.hpp"
#include "supervisor/options.hpp"
#include "supervisor/supervisor.hpp"
#include "supervisor/system/preflight.hpp"

namespace clat {
namespace {

int complain(const std::string& what, int code) {
  std::fprintf(stderr, "clatvisor: %s\n", what.c_str());
  return code;
}

Result<system::StateDir> open_state(const config::Config& config) {
  auto state = system::StateDir::open(config.state_dir);
  if (!state) return std::unexpected(std::move(state).error().in("state directory"));
  return state;
}

// Everything that records, saved sysctls and pins name. Goes on after an error.
int cleanup(const config::Config& config) {
  auto state = open_state(config);
  if (!state) return complain(state.error().text(), EX_OSERR);
  int code = EX_OK;
  const auto check = [&code](const Result<>& result) {
    if (!result) code = complain(result.error().text(), EX_OSERR);
  };
  check(bpf::FastPath::purge(config.bpf_dir));
  auto network = system::Network::open(*state);
  if (!network) return complain(network.error().text(), EX_OSERR);
  const auto found = state->records();
  if (!found) return complain(found.error().text(), EX_OSERR);
  for (const auto& ignored : found->ignored) check(state->discard(ignored));
  if (const auto missing = network->missing_tuns(found->records); !missing)
    check(std::unexpected(missing.error()));
  else
    for (const auto& tun : *missing)
      std::fprintf(stderr, "clatvisor: %s is not here; if it was moved to another network namespace, delete it there\n",
                   tun.c_str());
  check(network->sweep(found->records, system::Network::Lan::not_served));
  for (const auto& record : found->records) {
    auto purged = network->purge(record);
    check(purged);
    if (purged) check(state->erase_record(record.uplink));
  }
  return code;
}

int supervise(const Options& options, config::Config config, config::Surroundings surroundings) {
  system::allow_all_descriptors();
  loop::Signals::block();
  auto state = open_state(config);
  if (!state) return complain(state.error().text(), EX_OSERR);
  log::Log log;
  if (auto configured = log.configure(config.log); !configured) {
    return complain("log: " + configured.error().text(), EX_CONFIG);
  }
  auto supervisor =
      Supervisor::create(options.config, std::move(config), std::move(surroundings), std::move(*state), std::move(log));
  if (!supervisor) return complain(supervisor.error().text(), EX_OSERR);
  if (auto ran = (*supervisor)->run(); !ran) return complain(ran.error().text(), EX_SOFTWARE);
  return EX_OK;
}

int main(std::span<const char* const> words) {
  const auto options = parse_options(words);
  if (!options) return complain(options.error() + "; see clatvisor --help", EX_USAGE);
  if (options->command == Command::help) return std::fputs(help_text(), stdout) < 0 ? EX_IOERR : EX_OK;
  if (options->command == Command::version) return std::puts("clatvisor " CLATVISOR_VERSION) < 0 ? EX_IOERR : EX_OK;

  auto surroundings = config::make_surroundings();
  if (options->command == Command::check) surroundings.check_hook = config::check_hook;
  auto parsed = config::load(options->config, surroundings);
  if (!parsed) {
    if (::access(options->config.c_str(), F_OK) != 0 && errno == ENOENT) {
      return complain(options->config +
                          ": No such file or directory; name another with --config, or write it: "
                          "\"interfaces: {wan0: {}}\" is enough",
                      EX_CONFIG);
    }
    std::fputs(config::render(options->config, parsed.error()).c_str(), stderr);
    return EX_CONFIG;
  }
  if (options->command == Command::check) {
    return std::fputs(config::acceptance(options->config, *parsed).c_str(), stdout) < 0 ? EX_IOERR : EX_OK;
  }
  const auto missing = system::preflight();
  for (const auto& error : missing) complain(error.text(), EX_OSERR);
  if (!missing.empty()) return EX_OSERR;
  return options->command == Command::cleanup ? cleanup(*parsed)
                                              : supervise(*options, std::move(*parsed), std::move(surroundings));
}

}  // namespace
}  // namespace clat

int main(int argc, char** argv) {
  const std::span<const char* const> words(argv, static_cast<std::size_t>(argc));
  return clat::main(words.empty() ? words : words.subspan(1));
}
