#include "supervisor/loop/process.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <csignal>

namespace clat::loop {

Result<uv_process_t*> start_process(Loop& loop, ProcessStart start) {
  const auto pointers_to = [](std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
  };
  auto args = pointers_to(start.argv);
  auto environment = pointers_to(start.environment);
  std::vector<uv_stdio_container_t> stdio;
  for (const int fd : start.fds) {
    auto& entry = stdio.emplace_back();
    entry.flags = fd < 0 ? UV_IGNORE : UV_INHERIT_FD;
    entry.data.fd = fd;
  }
  uv_process_options_t options{};
  options.file = start.path;
  options.args = args.data();
  options.env = start.inherits_environment ? nullptr : environment.data();
  if (start.own_group) options.flags = UV_PROCESS_DETACHED;
  options.stdio_count = static_cast<int>(stdio.size());
  options.stdio = stdio.data();
  options.exit_cb = start.on_exit;
  auto* process = new uv_process_t{};
  process->data = start.data;
  if (const int error = uv_spawn(loop.raw(), process, &options); error < 0) {
    process->pid = 0;
    let_go(process);  // it is in the loop all the same
    return failure("uv_spawn", -error);
  }
  return process;
}

Fate fate_of(int pid) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    return errno == ECHILD ? Fate::gone : Fate::running;
  }
  return info.si_pid == 0 ? Fate::running : Fate::zombie;
}

void let_go(uv_process_t* process) {
  if (process == nullptr) return;
  if (process->pid != 0 && fate_of(process->pid) == Fate::running) ::kill(process->pid, SIGKILL);
  uv_close(reinterpret_cast<uv_handle_t*>(process),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_process_t*>(handle); });
}

void collect_zombies() { ::kill(::getpid(), SIGCHLD); }

}  // namespace clat::loop
