// Moves packets between the tun and the translator, and answers the supervisor.
#pragma once

#include <cstddef>

#include "core/clatd/control.hpp"
#include "core/xlat/translator.hpp"

namespace clat::clatd {

// Why run() came back; `code` is an errno or 0.
struct Stop {
  enum class Cause { supervisor_gone, tun_gone, tun_failed, control_failed, bad_request, poll_failed };
  Cause cause;
  int code = 0;
};

class Pump final : private xlat::Sink {
 public:
  // control_fd -1: none. The fds stay the caller's.
  Pump(const xlat::Settings& settings, int tun_fd, int control_fd)
      : translator_(settings), tun_fd_(tun_fd), control_fd_(control_fd) {}

  // Throws away what queued up before, says `ready`, then translates until something ends it.
  Stop run();

 private:
  enum class Step { more, lost, idle, stop };

  void send(const xlat::Frame& frame) override;
  bool may_answer() override { return false; }
  Step read_packet(std::size_t& size);
  void translate_packet(std::size_t size);
  bool drain();
  bool serve_control();
  bool serve_tun(bool broken);
  bool report(control::Kind kind, std::uint64_t cookie);

  xlat::Translator translator_;
  int tun_fd_, control_fd_;
  control::Report counters_;
  Stop stop_{};
};

}  // namespace clat::clatd
