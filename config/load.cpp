#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "config/findings.hpp"
#include "config/parse.hpp"
#include "config/reader.hpp"
#include "config/schema.hpp"
#include "config/tree.hpp"
#include "core/base/error.hpp"

namespace clat::config {

namespace {

Error too_large() { return {"the file is larger than " + std::to_string(kMaxBytes) + " bytes"}; }

class File {
 public:
  explicit File(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

// O_NONBLOCK: opening a FIFO does not wait for its writer.
Result<std::string> read_file(const std::string& path) {
  const File file(path);
  if (file.fd() < 0) return failure("cannot open the file", errno);
  struct stat status{};
  if (fstat(file.fd(), &status) != 0) return failure("cannot read the file", errno);
  if (S_ISDIR(status.st_mode)) return failure("this is a directory; a file is needed");
  if (!S_ISREG(status.st_mode)) return failure("not a regular file");
  if (status.st_size > static_cast<off_t>(kMaxBytes)) return std::unexpected(too_large());

  std::string text;
  std::array<char, 65'536> buffer;
  for (;;) {
    const ssize_t got = read(file.fd(), buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("cannot read the file", errno);
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxBytes) return std::unexpected(too_large());
  }
}

}  // namespace

Parsed parse(std::string_view text, const Surroundings& surroundings) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  Findings findings;
  if (text.size() > kMaxBytes) {
    findings.add({}, too_large().what);
    return std::unexpected(findings.problems({}));
  }
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());

  Reader reader(findings, surroundings);
  const auto tree = read_tree(text, findings);
  if (!tree) return std::unexpected(findings.problems(text));
  Config config = read_config(*tree, reader);
  if (!findings.empty()) return std::unexpected(findings.problems(text));
  return config;
}

Parsed load(const std::string& path, const Surroundings& surroundings) {
  const auto text = read_file(path);
  if (!text) return std::unexpected(std::vector<Problem>{{.reason = text.error().text()}});
  return parse(*text, surroundings);
}

std::string acceptance(const std::string& path, const Config& config) {
  const auto count = config.interfaces.size();
  return path + ": fine, " + std::to_string(count) + (count == 1 ? " interface\n" : " interfaces\n");
}

}  // namespace clat::config
