// A process that libuv starts for us, and its way out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "supervisor/loop/loop.hpp"

struct uv_process_s;

namespace clat::loop {

struct ProcessStart {
  const char* path = nullptr;  // without a slash: looked for in PATH
  std::vector<std::string> argv = {};
  bool inherits_environment = false;
  std::vector<std::string> environment = {};  // unless it inherits ours
  bool own_group = false;                     // the first of a session and process group of its own
  std::span<const int> fds;                   // its descriptors 0, 1, …; below 3, -1 is /dev/null
  void* data = nullptr;                       // of the handle
  void (*on_exit)(uv_process_s*, std::int64_t status, int signal) = nullptr;
};
// The handle is let_go()'s to free.
Result<uv_process_s*> start_process(Loop& loop, ProcessStart start);

// Alive, a zombie that libuv has not collected, or gone: then its pid may be somebody else's.
enum class Fate : std::uint8_t { running, zombie, gone };
Fate fate_of(int pid);

// Killed, if it still runs, and its handle freed in a turn of the loop. Null: nothing was started.
void let_go(uv_process_s* process);

// libuv looks after all its children at the next SIGCHLD; one that was lost in a storm of signals is made up for.
void collect_zombies();

}  // namespace clat::loop
