#include "supervisor/system/sysctl.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>

#include "core/base/fd.hpp"
#include "core/base/numbers.hpp"
#include "supervisor/system/interface_name.hpp"

namespace clat::system {

namespace {

constexpr std::size_t kLongest = 255;  // bytes of a value, and of a piece of the path

constexpr char kNumber = ':';

Result<std::string> resolved(const std::string& piece) {
  if (!piece.starts_with(kNumber)) return piece;
  auto name = interface_name(parse_number<int>(std::string_view(piece).substr(1)).value_or(0));
  if (name.empty()) return failure("there is no interface " + piece, ENOENT);
  return name;
}

bool valid_piece(const std::string& piece) {
  if (piece.empty() || piece.size() > kLongest || piece == "." || piece == "..") return false;
  return std::ranges::none_of(piece, [](char c) { return c == '/' || c == '\0' || c == '\n'; });
}

}  // namespace

std::string by_number(int ifindex) { return kNumber + std::to_string(ifindex); }

std::string text(const SysctlName& name) {
  std::string joined;
  for (const auto& piece : name) joined += (joined.empty() ? "" : "/") + piece;
  return joined;
}

Result<std::string> Sysctl::path(const SysctlName& name) const {
  if (name.empty() || !std::ranges::all_of(name, valid_piece)) {
    return failure("\"" + text(name) + "\" is no sysctl", EINVAL);
  }
  std::string path = root_;
  for (const auto& piece : name) {
    const auto now = resolved(piece);
    if (!now) return std::unexpected(now.error());
    path += "/" + *now;
  }
  return path;
}

// An interface may be renamed, and another be given its name, between the question and the opening. What is open stays
// that of one interface. Under the new name there is nothing for a moment.
Result<Fd> Sysctl::open(const SysctlName& name, int flags, const std::string& deed) const {
  constexpr int kTries = 5;
  const bool by_number = std::ranges::any_of(name, [](const auto& piece) { return piece.starts_with(kNumber); });
  for (int i = 0; i < kTries; ++i) {
    const auto before = path(name);
    if (!before) return std::unexpected(before.error());
    Fd opened(::open(before->c_str(), flags | O_CLOEXEC));
    const int error = errno;
    const auto after = path(name);
    if (!after) return std::unexpected(after.error());
    if (*before != *after) continue;
    if (!opened && error == ENOENT && by_number && i + 1 < kTries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (!opened) return failure(deed + " " + text(name), error);
    return opened;
  }
  return failure(deed + " " + text(name) + ", whose interface is renamed all the time", EBUSY);
}

Result<std::string> Sysctl::read(const SysctlName& name) const {
  const auto file = open(name, O_RDONLY, "read");
  if (!file) return std::unexpected(file.error());
  std::array<char, kLongest + 1> buffer;
  const ssize_t size = ::read(file->get(), buffer.data(), buffer.size());
  if (size < 0) return failure("read " + text(name), errno);
  if (static_cast<std::size_t>(size) > kLongest) return failure("read " + text(name), EMSGSIZE);
  std::string value(buffer.data(), static_cast<std::size_t>(size));
  while (value.ends_with('\n')) value.pop_back();
  return value;
}

Result<> Sysctl::write(const SysctlName& name, const std::string& value) const {
  const auto file = open(name, O_WRONLY | O_TRUNC, "write");
  if (!file) return std::unexpected(file.error());
  // The kernel takes a value only whole.
  const ssize_t size = ::write(file->get(), value.data(), value.size());
  if (size < 0) return failure("write " + text(name) + "=" + value, errno);
  if (static_cast<std::size_t>(size) != value.size()) return failure("write " + text(name) + "=" + value, EIO);
  return {};
}

Result<bool> Sysctl::is_set(const SysctlName& name) const {
  const auto value = read(name);
  if (!value) return std::unexpected(value.error());
  return *value != "0";
}

Result<bool> Sysctl::ipv6_forwarding() const { return is_set({"net", "ipv6", "conf", "all", "forwarding"}); }

Result<bool> Sysctl::ipv4_forwarding() const { return is_set({"net", "ipv4", "ip_forward"}); }

Result<bool> Sysctl::ignores_routes_with_linkdown() const {
  return is_set({"net", "ipv4", "conf", "all", "ignore_routes_with_linkdown"});
}

}  // namespace clat::system
