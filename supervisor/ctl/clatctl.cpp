// clatctl: hands a request to clatvisor and prints its answer.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/fd.hpp"
#include "supervisor/ctl/request.hpp"

namespace clat::ctl {
namespace {

constexpr const char* kHelp =
    "usage: clatctl [-s SOCKET] [COMMAND]\n"
    "\n"
    "Looks inside a running clatvisor, and steers it.\n"
    "\n"
    "  status [--json] [--healthy] [--watch] [IFACE]\n"
    "                       how everything is; the default. --healthy: exit code 1 unless all, or IFACE, are up\n"
    "  show IFACE FIELD     one value; the fields are those of status --json\n"
    "  explain [--watch] [IFACE]\n"
    "                       what keeps it from being up, or makes it slow, and what to do\n"
    "  events [--follow]    the last lines of the log\n"
    "  metrics [--http]     for Prometheus; --http: as the answer to an HTTP request on stdin\n"
    "  check                is the config file right? changes nothing\n"
    "  reload               take the config file into use\n"
    "  restart IFACE        a new clatd\n"
    "  handover             exit, leaving all in place for a successor\n"
    "\n"
    "  -s, --socket SOCKET  default /run/clatvisor/control.sock\n"
    "  --version, --help\n"
    "\n"
    "Exit codes: 0 done, 1 not healthy, 64 usage, 69 no clatvisor there, 75 not done in time,\n"
    "            77 not permitted, 78 the config file is refused.\n";

constexpr std::size_t kLargestHead = 16;  // an exit code and its newline

struct Options {
  std::string socket{kDefaultSocket};
  std::string request;
  bool watch = false;
  bool http = false;
};

int complain(const std::string& what, int code) {
  std::fprintf(stderr, "clatctl: %s\n", what.c_str());
  return code;
}

bool paints() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr && terminal != nullptr &&
         std::string_view(terminal) != "dumb";
}

// Where an answer goes. False: nowhere any more.
using Take = bool (*)(void* into, int code, std::string_view text);

bool print(void* /*into*/, int code, std::string_view text) {
  std::FILE* out = code == kOk || code == kNotHealthy ? stdout : stderr;
  return std::fwrite(text.data(), 1, text.size(), out) == text.size() && std::fflush(out) == 0;
}

bool keep(void* into, int /*code*/, std::string_view text) {
  static_cast<std::string*>(into)->append(text);
  return true;
}

// The code of the answer, its text handed on as it comes.
int read_answer(const Fd& fd, Take take, void* into) {
  std::string head;
  std::optional<int> code;
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto size = ::read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return complain(std::string("the answer broke off: ") + std::strerror(errno), kUnavailable);
    if (size == 0) break;
    std::string_view text(buffer.data(), static_cast<std::size_t>(size));
    if (!code) {
      const auto end = text.find('\n');
      head.append(text.substr(0, end));
      if (head.size() > kLargestHead) break;
      if (end == std::string_view::npos) continue;
      code = std::atoi(head.c_str());
      text.remove_prefix(end + 1);
    }
    if (!take(into, *code, text)) return EXIT_FAILURE;
  }
  return code ? *code : complain("there came no answer: is that socket clatvisor's?", kUnavailable);
}

int ask(const Options& options, Take take, void* into) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options.socket.size() >= sizeof address.sun_path) return complain("the path of the socket is too long", kUsage);
  options.socket.copy(address.sun_path, options.socket.size());
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return complain(std::string("socket: ") + std::strerror(errno), EXIT_FAILURE);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int code = errno;
    const auto what = options.socket + ": " + std::strerror(code);
    if (code == EACCES || code == EPERM) {
      return complain(what + "; root may ask, and the group that control-socket names", kNotPermitted);
    }
    return complain(what + "; no clatvisor listens there", kUnavailable);
  }
  const auto line = options.request + "\n";
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    return complain(std::string("send: ") + std::strerror(errno), kUnavailable);
  }
  return read_answer(fd, take, into);
}

int watch(const Options& options) {
  for (;;) {
    std::string text;
    const int code = ask(options, keep, &text);
    if (code != kOk && code != kNotHealthy) return print(nullptr, code, text) ? code : EXIT_FAILURE;
    if (isatty(STDOUT_FILENO) != 0) text = "\x1b[H\x1b[2J" + text;
    if (!print(nullptr, kOk, text)) return EXIT_FAILURE;
    const timespec pause{.tv_sec = 2, .tv_nsec = 0};
    nanosleep(&pause, nullptr);
  }
}

// The first line of the request on stdin; the rest of its head is read, so that the other side is not reset.
std::string read_http_request() {
  constexpr std::size_t kLargest = 8192;
  std::string head;
  std::array<char, 1024> buffer{};
  while (head.find("\r\n\r\n") == std::string::npos && head.find("\n\n") == std::string::npos &&
         head.size() < kLargest) {
    const auto size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) break;
    head.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return head.substr(0, head.find_first_of("\r\n"));
}

int http(const Options& options) {
  const auto first = read_http_request();
  std::string status = "200 OK";
  std::string body;
  int code = kOk;
  if (!first.starts_with("GET ")) {
    status = "405 Method Not Allowed";
  } else if (!first.starts_with("GET /metrics ") && !first.starts_with("GET /metrics?")) {
    status = "404 Not Found";
    body = "/metrics\n";
  } else if (code = ask(options, keep, &body); code != kOk) {
    status = "503 Service Unavailable";
  }
  const auto head =
      "HTTP/1.1 " + status +
      "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\nConnection: close\r\n\r\n";
  return print(nullptr, kOk, head + body) ? code : EXIT_FAILURE;
}

// An exit code where there is nothing to ask.
std::optional<int> read_options(std::span<const char* const> words, Options& options) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--help" || word == "-h") return std::fputs(kHelp, stdout) < 0 ? EXIT_FAILURE : kOk;
    if (word == "--version") return std::puts("clatctl " CLATVISOR_VERSION) < 0 ? EXIT_FAILURE : kOk;
    if (word == "-s" || word == "--socket") {
      if (++i == words.size()) return complain(std::string(word) + " needs a path", kUsage);
      options.socket = words[i];
    } else if (word == "--watch") {
      options.watch = true;
    } else if (word == "--http") {
      options.http = true;
    } else {
      if (word.empty() || word.find_first_of(" \n") != std::string_view::npos) {
        return complain("'" + std::string(word) + "' is no name", kUsage);
      }
      options.request += (options.request.empty() ? "" : " ") + std::string(word);
    }
  }
  return std::nullopt;
}

int main(std::span<const char* const> words) {
  Options options;
  if (const auto done = read_options(words, options)) return *done;
  if (options.request.empty() || options.request.starts_with("--")) {
    options.request = "status" + (options.request.empty() ? "" : " " + options.request);
  }
  const auto request = parse(options.request);
  if (!request) return complain(request.error() + "; see clatctl --help", kUsage);
  const bool shows = request->verb == Verb::status || request->verb == Verb::explain;
  if (options.watch && (!shows || request->json)) return complain("--watch goes with status and explain alone", kUsage);
  if (options.http && request->verb != Verb::metrics) return complain("--http goes with metrics alone", kUsage);
  if (shows && paints()) options.request += " --color";
  if (options.http) return http(options);
  return options.watch ? watch(options) : ask(options, print, nullptr);
}

}  // namespace
}  // namespace clat::ctl

int main(int argc, char** argv) {
  const std::span<const char* const> words(argv, static_cast<std::size_t>(argc));
  return clat::ctl::main(words.empty() ? words : words.subspan(1));
}
