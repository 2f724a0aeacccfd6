// The event loop: one thread, one timer, descriptors to watch.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "core/base/error.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/model/facts.hpp"

struct uv_loop_s;

namespace clat::loop {

using Sink = std::function<void(model::Event)>;

// broken: the descriptor is in an error state, as a netlink socket after an overrun (ENOBUFS). Read until EAGAIN, which
// clears it, or end the watch: it goes on watching, and an error that stays would keep the loop busy.
enum class Wake { readable, broken };
// What wakes: with `writing` also that it can be written to, and with `room` only that; it is told as readable.
enum class Until { reading, writing, room };
using Readable = std::function<void(Wake)>;

// Watches a descriptor from Loop::watch() until its end, which may come inside its own callback. It must end before the
// descriptor is closed and before the Loop.
class Watch {
 public:
  Watch() = default;
  Watch(Watch&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Watch& operator=(Watch&& other) noexcept;
  ~Watch() { end(); }

  void end();
  [[nodiscard]] bool active() const { return state_ != nullptr; }

 private:
  friend class Loop;
  struct State;
  explicit Watch(State* state) : state_(state) {}
  State* state_ = nullptr;  // libuv frees it, some time after end()
};

class Loop {
 public:
  // `sink` gets model::Tick.
  static Result<std::unique_ptr<Loop>> create(Sink sink);
  Loop(const Loop&) = delete;  // everything that uses it refers to it
  Loop& operator=(const Loop&) = delete;
  ~Loop();  // after everything that uses it

  // Until stop(), or until nothing is left that could ever happen.
  void run();
  void stop();

  // One Tick at `due` or up to a few milliseconds later, never earlier; soon, when that is past. Replaces what was
  // armed.
  void arm(model::TimePoint due);
  void disarm();

  // Level-triggered: calls back for as long as something is left to read. Makes `fd` non-blocking.
  Result<Watch> watch(int fd, Readable readable, Until until = Until::reading);

  // For its neighbours in this folder.
  [[nodiscard]] uv_loop_s* raw();

 private:
  struct State;
  explicit Loop(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace clat::loop
