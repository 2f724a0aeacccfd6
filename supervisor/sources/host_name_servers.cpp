#include "supervisor/sources/host_name_servers.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>

#include "core/base/fd.hpp"

namespace clat::sources {

namespace {

constexpr std::array kFiles{"/run/systemd/resolve/resolv.conf", "/tmp/resolv.conf.d/resolv.conf.auto",
                            "/etc/resolv.conf"};
constexpr std::size_t kMost = 16 * 1024;  // bytes of one that are looked at

// Empty where there is none. What is no file (a FIFO) does not hold us up.
std::string beginning_of(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text(kMost, '\0');
  std::size_t size = 0;
  while (file && size < kMost) {
    const auto got = ::read(file.get(), text.data() + size, kMost - size);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

}  // namespace

std::vector<NameServer> host_name_servers(std::string_view device, const std::string& root) {
  std::vector<NameServer> servers;
  for (const char* path : kFiles) {
    servers = parse_name_servers(beginning_of(root + path), device);
    if (!servers.empty()) break;
  }
  return servers;
}

}  // namespace clat::sources
