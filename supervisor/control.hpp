// What clatctl asks, answered: requests of the control socket into events, and the status back in the form that was
// wished.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "core/base/error.hpp"
#include "supervisor/ctl/request.hpp"
#include "supervisor/loop/control_server.hpp"
#include "supervisor/model/status.hpp"

namespace clat {

class Control {
 public:
  struct Outcome {
    int code = ctl::kOk;
    std::string text;  // whole lines
  };
  // What it needs of the program.
  class Program {
   public:
    virtual ~Program() = default;
    virtual model::Status status() = 0;
    // Counters as they are now are on their way; settle() is called when something may have come.
    virtual void ask_status() = 0;
    virtual bool status_is_fresh() = 0;
    virtual Outcome check() = 0;
    virtual Outcome reload() = 0;
    virtual void restart(const std::string& iface) = 0;
    virtual void hand_over() = 0;
    // A change that somebody asked for.
    virtual void requested(std::string_view what, unsigned uid, int pid) = 0;
  };

  static constexpr std::size_t kHistory = 256;  // lines

  // `loop` and `program` outlive it.
  static Result<std::unique_ptr<Control>> open(loop::Loop& loop, const config::ControlSocket& socket, Program& program);

  // A line of the log, without its newline.
  void said(const std::string& line);
  // After each event: answers what can be answered now.
  void settle();

 private:
  struct Pending {
    loop::ControlServer::Client client;
    ctl::Request request;
    unsigned starts = 0;  // of clatd, when its restart was asked for
  };

  explicit Control(Program& program) : program_(program) {}
  void asked(loop::ControlServer::Client client, const loop::ControlServer::Peer& peer, const std::string& line);
  void change(loop::ControlServer::Client client, const ctl::Request& request);
  void answer(loop::ControlServer::Client client, const Outcome& outcome);
  void settle_restarts();

  Program& program_;
  std::deque<std::string> history_;
  std::vector<Pending> lookers_;     // wait for fresh counters
  std::vector<Pending> restarters_;  // wait for a clatd
  std::unique_ptr<loop::ControlServer> server_;
};

}  // namespace clat
