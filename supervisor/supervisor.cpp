#include "supervisor/supervisor.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "bpf/fast_path.hpp"
#include "supervisor/log/format.hpp"
#include "supervisor/log/words.hpp"
#include "supervisor/plan/status.hpp"
#include "supervisor/system/random.hpp"

namespace clat {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What a start and a stop may take on a slow machine, beyond what grows: service managers allow for 90 s and, by our
// unit, for 20 s.
constexpr milliseconds kStart = seconds(90), kEachRecord = seconds(2), kStop = seconds(20);

// Settings that decide where a running supervisor keeps its things cannot move under it.
std::string immovable_change(const config::Config& before, const config::Config& now) {
  if (before.state_dir != now.state_dir) return "state-dir";
  if (before.bpf_dir != now.bpf_dir) return "bpf-dir";
  if (before.control_socket != now.control_socket) return "control-socket";
  return "";
}

}  // namespace

Supervisor::Supervisor(std::string file, config::Config config, config::Surroundings surroundings,
                       system::StateDir state, log::Log log)
    : file_(std::move(file)),
      config_(std::make_shared<const config::Config>(std::move(config))),
      surroundings_(std::move(surroundings)),
      state_(std::move(state)),
      log_(std::move(log)) {}

Result<std::unique_ptr<Supervisor>> Supervisor::create(std::string file, config::Config config,
                                                       config::Surroundings surroundings, system::StateDir state,
                                                       log::Log log) {
  std::unique_ptr<Supervisor> supervisor(
      new Supervisor(std::move(file), std::move(config), std::move(surroundings), std::move(state), std::move(log)));
  if (auto opened = supervisor->open(); !opened) return std::unexpected(std::move(opened).error());
  return supervisor;
}

Result<> Supervisor::open() {
  auto network = system::Network::open(state_);
  if (!network) return std::unexpected(std::move(network).error());
  network_.emplace(std::move(*network));

  const auto sink = [this](model::Event event) { deliver({std::move(event)}); };
  const auto tell_all = [this](const model::Notice& notice) { tell(notice); };
  auto event_loop = loop::Loop::create(sink);
  if (!event_loop) return std::unexpected(std::move(event_loop).error());
  loop_ = std::move(*event_loop);
  if (auto notifier = loop::Notifier::from_environment(*loop_)) {
    notifier_ = std::move(*notifier);
  } else {
    tell(model::notice::NotifyFailed{notifier.error()});
  }
  auto netlink = sources::NetlinkSource::open(
      *loop_, [this](std::vector<model::Event> events) { deliver(std::move(events)); }, tell_all);
  if (!netlink) return std::unexpected(std::move(netlink).error());
  netlink_ = std::move(*netlink);

  edge_.emplace(state_, *network_, *netlink_, config_->bpf_dir, *loop_, sink);
  const auto seed = system::random_number();
  if (!seed) return std::unexpected(seed.error());
  app_.emplace(*edge_, &std::chrono::steady_clock::now, tell_all, *seed);

  if (loop::StrangerReaper::needed()) {
    auto reaper = loop::StrangerReaper::create(*loop_, [this](int pid) { return edge_->owns(pid); });
    if (!reaper) return std::unexpected(std::move(reaper).error());
    reaper_.emplace(std::move(*reaper));
  }
  auto signals = loop::Signals::create(*loop_, [this](int number) { on_signal(number); });
  if (!signals) return std::unexpected(std::move(signals).error());
  signals_.emplace(std::move(*signals));
  open_control();
  return {};
}

// Everything else works without it.
void Supervisor::open_control() {
  if (config_->control_socket.path.empty()) return;
  auto control = Control::open(*loop_, config_->control_socket, *this);
  if (control)
    control_ = std::move(*control);
  else
    tell(model::notice::ControlFailed{control.error()});
}

Result<> Supervisor::run() {
  tell(model::notice::SupervisorStarted{CLATVISOR_VERSION, getpid(), file_});
  if (auto started = start(); !started) return started;
  if (!app_->done()) loop_->run();

  // What is handed over keeps its programs; else nothing of ours stays.
  if (!app_->world().handover) {
    edge_.reset();
    if (auto purged = bpf::FastPath::purge(config_->bpf_dir); !purged) {
      tell_failed(model::notice::Deed::purge_at_end, purged.error());
    }
  }
  tell(model::notice::SupervisorStopped{});
  log_.flush();
  return {};
}

Result<> Supervisor::start() {
  std::vector<model::Event> first;
  auto found = state_.records();
  if (!found) return std::unexpected(std::move(found).error());
  notify(loop::Phase::starting, kStart + kEachRecord * (found->records.size() + found->ignored.size()));
  for (const auto& ignored : found->ignored) {
    tell(model::notice::RecordIgnored{ignored.why.text()});
    (void)state_.discard(ignored);  // what cannot be removed is ignored at the next start again
  }
  if (auto missing = network_->missing_tuns(found->records); !missing)
    tell_failed(model::notice::Deed::sweep, missing.error());
  else
    for (auto& tun : *missing) tell(model::notice::TunMissing{std::move(tun)});
  const auto lan = config_->lan.wants_anything() ? system::Network::Lan::served : system::Network::Lan::not_served;
  if (auto swept = network_->sweep(found->records, lan); !swept) {
    tell_failed(model::notice::Deed::sweep, swept.error());
  }
  if (!network_->forgotten().empty()) {
    tell(model::notice::RecordIgnored{network_->forgotten()});
  }
  if (const auto ignores = network_->sysctl().ignores_routes_with_linkdown(); ignores && *ignores) {
    tell(model::notice::SysctlRisky{"net.ipv4.conf.all.ignore_routes_with_linkdown", "1",
                                    "IPv4 is unreachable while clatvisor itself is down, fast path or not"});
  }
  first.emplace_back(model::RecordsFound{std::move(found->records)});
  first.emplace_back(model::ConfigLoaded{config_, file_});
  auto dumped = netlink_->dump();
  if (!dumped) return std::unexpected(std::move(dumped).error().in("read links and addresses"));
  first.emplace_back(model::KernelDumped{std::move(dumped->kernel)});
  deliver(std::move(first));
  return {};
}

void Supervisor::deliver(std::vector<model::Event> events) {
  app_->handle(std::move(events));
  const bool leaving = app_->world().stopping || app_->world().handover;
  // Every clatd is waited for at the same time.
  if (leaving) {
    notify(loop::Phase::stopping, kStop + config_->clatd.stop_timeout);
  } else {
    notify(loop::Phase::ready);
  }
  if (control_) control_->settle();
  log_.flush();
  if (app_->done()) {
    loop_->stop();
  } else if (const auto at = app_->wake_at()) {
    loop_->arm(*at);
  } else {
    loop_->disarm();
  }
}

void Supervisor::on_signal(int number) {
  switch (number) {
    case SIGHUP: reload(); return;
    case SIGTERM:
    case SIGINT: return deliver({model::StopRequested{number}});
    case SIGUSR1: return deliver({model::DumpRequested{}});
    case SIGUSR2: return deliver({model::HandoverRequested{}});
    default: return;
  }
}

model::Status Supervisor::status() { return plan::status(app_->world(), std::chrono::steady_clock::now()); }

// At the end nobody is asked any more.
bool Supervisor::status_is_fresh() {
  const auto& world = app_->world();
  return !world.status_asked || world.stopping || world.handover || app_->done();
}

void Supervisor::requested(std::string_view what, unsigned uid, int pid) {
  tell(model::notice::ControlRequested{std::string(what), uid, pid});
}

Control::Outcome Supervisor::check() {
  auto surroundings = surroundings_;
  surroundings.check_hook = config::check_hook;
  const auto parsed = config::load(file_, surroundings);
  if (!parsed) return {ctl::kRefusedConfig, config::render(file_, parsed.error())};
  return {ctl::kOk, config::acceptance(file_, *parsed)};
}

Control::Outcome Supervisor::reload() {
  // In a storm of them the stop shall not wait for the file to be read again and again.
  if (app_->world().stopping) return {ctl::kFailed, "clatvisor is stopping\n"};
  notify(loop::Phase::reloading);
  auto parsed = config::load(file_, surroundings_);
  if (!parsed) {
    const auto& first = parsed.error().front();
    reject(first.line, first.column, first.reason, parsed.error().size());
    return {ctl::kRefusedConfig, config::render(file_, parsed.error())};
  }
  if (const auto key = immovable_change(*config_, *parsed); !key.empty()) {
    return reject(1, 1, key + " cannot change while clatvisor runs: restart it", 1);
  }
  if (auto configured = log_.configure(parsed->log); !configured) {
    return reject(1, 1, "log: " + configured.error().text(), 1);
  }
  config_ = std::make_shared<const config::Config>(std::move(*parsed));
  complaint_.clear();
  deliver({model::ConfigLoaded{config_, file_}});
  return {ctl::kOk, file_ + ": reloaded, " + std::to_string(config_->interfaces.size()) + " interfaces\n"};
}

// The running configuration stays in use, and so does its log file, unless that was moved away.
Control::Outcome Supervisor::reject(unsigned line, unsigned column, std::string reason, std::size_t errors) {
  if (auto reopened = log_.reopen(); !reopened) {
    tell_failed(model::notice::Deed::reopen_log, reopened.error());
  }
  complaint_ = "; the config file was refused, line " + std::to_string(line);
  const auto said = file_ + ": " + reason + "\n";
  deliver({model::ConfigRejected{file_, line, column, std::move(reason), errors}});
  return {ctl::kRefusedConfig, said};
}

void Supervisor::notify(loop::Phase phase, milliseconds takes) {
  // Links that patterns match are known once the kernel has been asked.
  const auto wanted = app_->world().config ? app_->world().interfaces().size() : config_->interfaces.size();
  const auto up = static_cast<std::size_t>(
      std::ranges::count_if(app_->world().clats, [](const auto& each) { return each.second.up; }));
  // One that was just struck off the config may be up for a moment more.
  const auto status =
      std::to_string(std::min(up, wanted)) + " of " + std::to_string(wanted) + " uplinks up" + complaint_;
  const auto told = notifier_.tell(phase, status, takes);
  if (!told && !unheard_) tell(model::notice::NotifyFailed{told.error()});
  unheard_ = !told;
}

void Supervisor::tell(const model::Notice& notice) {
  for (const auto& entry : log::words(notice)) {
    log_.write(entry);
    if (control_ && log_.enabled(entry.severity))
      control_->said(log::format_line(config::LogFormat::logfmt, std::chrono::system_clock::now(), entry));
  }
}

}  // namespace clat
