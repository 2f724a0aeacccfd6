// The duty of PID 1, and of a child subreaper: orphans become its children and stay zombies until it waits for them.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "core/base/error.hpp"
#include "supervisor/loop/loop.hpp"

namespace clat::loop {

// Reaps strangers only: the exits of our own children are libuv's to collect.
class StrangerReaper {
 public:
  [[nodiscard]] static bool needed();

  // `ours` says whether a pid is a child that libuv waits for.
  static Result<StrangerReaper> create(Loop& loop, std::function<bool(int pid)> ours);
  StrangerReaper(StrangerReaper&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  StrangerReaper& operator=(StrangerReaper&& other) noexcept;
  ~StrangerReaper();

 private:
  struct State;
  explicit StrangerReaper(State* state) : state_(state) {}
  State* state_ = nullptr;  // libuv frees it
};

}  // namespace clat::loop
