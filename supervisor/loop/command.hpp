// A program that runs to its end beside the loop: a text goes in, and what it complains about comes out.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/loop/timer.hpp"

struct uv_process_s;

namespace clat::loop {

class Command {
 public:
  // Without an error it ended with status 0. Else the error has its words: what it wrote to stderr, in one line.
  using Done = std::function<void(Result<>)>;

  // argv[0] is looked for in PATH. `done` is called in a later turn of the loop, once; it may end the Command. A
  // program that is not done within `patience` is killed.
  static Result<std::unique_ptr<Command>> start(Loop& loop, std::vector<std::string> argv, std::string_view input,
                                                std::chrono::milliseconds patience, Done done);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  ~Command();  // kills it, if it runs; `done` is not called any more

  [[nodiscard]] int pid() const { return pid_; }

 private:
  Command(Loop& loop, std::string name, std::chrono::milliseconds patience, Done done)
      : name_(std::move(name)), patience_(patience), done_(std::move(done)), timer_(loop, [this] { on_time_up(); }) {}
  Result<> run(Loop& loop, std::vector<std::string> argv, std::string_view input);
  void on_time_up();
  void finish(std::int64_t status, int signal);
  [[nodiscard]] std::string complaint() const;

  std::string name_;
  std::chrono::milliseconds patience_;
  Done done_;
  Fd words_;  // a file that takes what it writes to stderr
  int pid_ = 0;
  bool time_is_up_ = false;
  uv_process_s* process_ = nullptr;  // libuv frees it
  Timer timer_;
};

}  // namespace clat::loop
