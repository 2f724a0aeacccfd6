// The routers of one link: what they advertise, and a way to ask them. By a packet socket, which hears what the kernel
// does not listen to (forwarding=1, accept_ra=0) and what a firewall's input chain drops.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/base/token_bucket.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/model/specs.hpp"

namespace clat::sources {

class RouterListener {
 public:
  // `loop` outlives the listener.
  static Result<std::unique_ptr<RouterListener>> open(loop::Loop& loop, const model::ListenSpec& spec, loop::Sink sink);
  RouterListener(const RouterListener&) = delete;  // the watch refers to it
  RouterListener& operator=(const RouterListener&) = delete;

  // Sends a Router Solicitation.
  Result<> solicit();

 private:
  RouterListener(const model::ListenSpec& spec, Fd socket, loop::Sink sink)
      : spec_(spec), socket_(std::move(socket)), sink_(std::move(sink)) {}
  void read();

  model::ListenSpec spec_;
  Fd socket_;
  loop::Sink sink_;
  // A storm of advertisements costs so many turns of the plan; what is said over and over is heard all the same.
  TokenBucket heed_{20, std::chrono::seconds(1), 50};
  std::array<std::uint8_t, 1600> buffer_{};
  loop::Watch watch_;  // after the descriptor it watches
};

}  // namespace clat::sources
