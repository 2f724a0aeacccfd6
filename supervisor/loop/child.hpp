// One clatd process. For children.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/fd.hpp"
#include "supervisor/loop/children.hpp"
#include "supervisor/loop/control_channel.hpp"
#include "supervisor/loop/lines.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/loop/process.hpp"

struct uv_process_s;

namespace clat::loop {

class Child {
 public:
  struct Owner {
    Sink sink;
    std::function<void(Child&, const control::Report*)> answered;  // null: it cannot answer any more
    // Ends the life of the Child.
    std::function<void(Child&, int status, int signal)> exited;
  };

  // `owner` outlives the child.
  static Result<std::unique_ptr<Child>> spawn(Loop& loop, const Owner& owner, const Launch& launch);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  [[nodiscard]] const std::string& uplink() const { return uplink_; }
  [[nodiscard]] int pid() const { return pid_; }
  // For kill(): it, or its process group.
  [[nodiscard]] int target() const { return own_group_ ? -pid_ : pid_; }
  [[nodiscard]] ControlChannel& control() { return control_; }

  [[nodiscard]] Fate fate() const { return fate_of(pid_); }

  // Delivers what is left of output and messages.
  void drain();

 private:
  Child(const Owner& owner, std::string uplink) : owner_(owner), uplink_(std::move(uplink)) {}
  Result<> start(Loop& loop, const Launch& launch);
  Result<> open_control(Loop& loop, Fd& far_end);
  // `table`: the child's descriptors from 0.
  Result<> run(Loop& loop, const Launch& launch, const std::vector<int>& table);
  // At most `limit` bytes. False: nothing will come any more.
  bool read_output(std::size_t limit);
  void read_control();
  void show(std::optional<OutputThrottle::Shown> shown);
  void say(std::string line);

  const Owner& owner_;
  std::string uplink_;
  int pid_ = 0;
  bool own_group_ = false;
  uv_process_s* process_ = nullptr;  // libuv frees it
  Fd output_;
  ControlChannel control_;
  bool mute_ = false;  // the control socket is over, and the owner knows
  LineSplitter lines_;
  OutputThrottle throttle_;
  // After the descriptors they watch.
  Watch output_watch_;
  Watch control_watch_;
};

}  // namespace clat::loop
