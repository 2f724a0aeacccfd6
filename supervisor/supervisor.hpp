// The running program: the loop, its edges and the App, wired together.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "config/parse.hpp"
#include "supervisor/control.hpp"
#include "supervisor/edge.hpp"
#include "supervisor/log/log.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/loop/notify.hpp"
#include "supervisor/loop/reaper.hpp"
#include "supervisor/loop/signals.hpp"
#include "supervisor/plan/app.hpp"

namespace clat {

class Supervisor : private Control::Program {
 public:
  // Opens everything that can fail before the first packet. `config` was read from `file`.
  static Result<std::unique_ptr<Supervisor>> create(std::string file, config::Config config,
                                                    config::Surroundings surroundings, system::StateDir state,
                                                    log::Log log);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Until a signal ends it and everything is taken down or handed over.
  Result<> run();

 private:
  Supervisor(std::string file, config::Config config, config::Surroundings surroundings, system::StateDir state,
             log::Log log);
  Result<> open();
  Result<> start();
  void deliver(std::vector<model::Event> events);
  void on_signal(int number);
  void open_control();

  model::Status status() override;
  void ask_status() override { deliver({model::StatusAsked{}}); }
  bool status_is_fresh() override;
  Control::Outcome check() override;
  Control::Outcome reload() override;
  void restart(const std::string& iface) override { deliver({model::RestartAsked{iface}}); }
  void hand_over() override { deliver({model::HandoverRequested{}}); }
  void requested(std::string_view what, unsigned uid, int pid) override;

  Control::Outcome reject(unsigned line, unsigned column, std::string reason, std::size_t errors);
  // Tells the service manager what is news to it, and how long that takes where it may be long.
  void notify(loop::Phase phase, std::chrono::milliseconds takes = {});
  void tell(const model::Notice& notice);
  void tell(model::What what) { tell(model::Notice{"", std::move(what)}); }
  void tell_failed(model::notice::Deed deed, const Error& error) { tell(model::notice::DeedFailed{deed, error}); }

  std::string file_;
  std::shared_ptr<const config::Config> config_;
  config::Surroundings surroundings_;

  // In the order of making: each uses those above it.
  system::StateDir state_;
  log::Log log_;
  std::optional<system::Network> network_;
  std::unique_ptr<loop::Loop> loop_;
  loop::Notifier notifier_;
  std::unique_ptr<sources::NetlinkSource> netlink_;
  std::optional<KernelEdge> edge_;
  std::optional<plan::App> app_;
  std::optional<loop::StrangerReaper> reaper_;
  std::optional<loop::Signals> signals_;
  std::unique_ptr<Control> control_;  // none: the config wants none, or it could not be opened

  std::string complaint_;  // about the latest config file, for the service manager's status line
  bool unheard_ = false;   // the service manager could not be told
};

}  // namespace clat
