// clatd's end of the control socket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "core/clatd/control.hpp"
#include "core/clatd/pump.hpp"
#include "core/clatd/shared.hpp"
#include "core/clatd/stop.hpp"

namespace clat::clatd {

class Responder {
 public:
  using Pumps = std::span<const std::unique_ptr<Pump>>;

  // -1: there is no supervisor. The caller keeps the descriptor.
  Responder(int control_fd, Pumps pumps, Shared& shared) : fd_(control_fd), pumps_(pumps), shared_(shared) {}

  [[nodiscard]] int fd() const { return fd_; }
  std::optional<Stop> say_ready() { return report(control::Kind::ready, 0); }
  // One request, if there is one.
  std::optional<Stop> serve();

 private:
  std::optional<Stop> obey(const control::Request& request);
  std::optional<Stop> report(control::Kind kind, std::uint64_t cookie);

  int fd_;
  Pumps pumps_;
  Shared& shared_;
};

}  // namespace clat::clatd
