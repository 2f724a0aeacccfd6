#include "supervisor/loop/command.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "supervisor/loop/process.hpp"

namespace clat::loop {
namespace {

constexpr std::size_t kLongestComplaint = 512;  // bytes

// Nothing blocks on a file, neither the program nor we.
Result<Fd> make_file(const char* name) {
  Fd file(::memfd_create(name, MFD_CLOEXEC));
  if (!file) return failure("memfd_create", errno);
  return file;
}

Result<Fd> file_with(std::string_view text) {
  auto file = make_file("input");
  if (!file) return file;
  for (std::size_t done = 0; done < text.size();) {
    const auto size = ::pwrite(file->get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (size < 0) return failure("write the input", errno);
    done += static_cast<std::size_t>(size);
  }
  return file;
}

}  // namespace

Result<std::unique_ptr<Command>> Command::start(Loop& loop, std::vector<std::string> argv, std::string_view input,
                                                std::chrono::milliseconds patience, Done done) {
  std::unique_ptr<Command> command(new Command(loop, argv.front(), patience, std::move(done)));
  if (auto running = command->run(loop, std::move(argv), input); !running) {
    return std::unexpected(std::move(running).error().in("start " + command->name_));
  }
  return command;
}

Result<> Command::run(Loop& loop, std::vector<std::string> argv, std::string_view input) {
  const auto in = file_with(input);
  if (!in) return std::unexpected(in.error());
  auto words = make_file("words");
  if (!words) return std::unexpected(std::move(words).error());
  words_ = std::move(*words);

  const std::array fds{in->get(), -1, words_.get()};
  auto process = start_process(loop, {.path = name_.c_str(),
                                      .argv = std::move(argv),
                                      .inherits_environment = true,
                                      .fds = fds,
                                      .data = this,
                                      .on_exit = [](uv_process_t* ended, std::int64_t status, int signal) {
                                        static_cast<Command*>(ended->data)->finish(status, signal);
                                      }});
  if (!process) return std::unexpected(std::move(process).error());
  process_ = *process;
  pid_ = process_->pid;
  timer_.start(patience_);
  return {};
}

Command::~Command() { let_go(process_); }

void Command::on_time_up() {
  timer_.start(patience_);  // until it is seen to end
  switch (fate_of(pid_)) {
    case Fate::running:
      time_is_up_ = true;
      ::kill(pid_, SIGKILL);
      return;
    case Fate::zombie: return collect_zombies();
    // Somebody else waited for it; how it ended nobody knows.
    case Fate::gone: return finish(-1, 0);
  }
}

void Command::finish(std::int64_t status, int signal) {
  timer_.stop();
  Result<> result;
  if (time_is_up_) {
    result = failure(name_ + " did not end within " + std::to_string(patience_.count()) + "ms");
  } else if (status != 0 || signal != 0) {
    const auto end = signal != 0 ? "signal " + std::to_string(signal) : "status " + std::to_string(status);
    const auto words = complaint();
    result = failure(name_ + ": " + (words.empty() ? end : words));
  }
  // It may end this.
  const auto done = std::exchange(done_, nullptr);
  if (done) done(std::move(result));
}

std::string Command::complaint() const {
  std::string words(kLongestComplaint, '\0');
  const auto size = ::pread(words_.get(), words.data(), words.size(), 0);
  words.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  std::ranges::replace(words, '\n', ' ');
  while (words.ends_with(' ')) words.pop_back();
  return words;
}

}  // namespace clat::loop
