#include "supervisor/system/sysctl.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

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

Result<std::string> Sysctl::read(const SysctlName& name) const {
  const auto where = path(name);
  if (!where) return std::unexpected(where.error());
  const Fd file(::open(where->c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failure("read " + text(name), errno);
  std::array<char, kLongest + 1> buffer;
  const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
  if (size < 0) return failure("read " + text(name), errno);
  if (static_cast<std::size_t>(size) > kLongest) return failure("read " + text(name), EMSGSIZE);
  std::string value(buffer.data(), static_cast<std::size_t>(size));
  while (value.ends_with('\n')) value.pop_back();
  return value;
}

Result<> Sysctl::write(const SysctlName& name, const std::string& value) const {
  const auto where = path(name);
  if (!where) return std::unexpected(where.error());
  const Fd file(::open(where->c_str(), O_WRONLY | O_CLOEXEC | O_TRUNC));
  if (!file) return failure("write " + text(name), errno);
  // The kernel takes a value only whole.
  const ssize_t size = ::write(file.get(), value.data(), value.size());
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
