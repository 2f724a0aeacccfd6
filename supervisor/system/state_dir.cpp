#include "supervisor/system/state_dir.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/network_namespace.hpp"
#include "core/base/numbers.hpp"
#include "supervisor/system/interface_name.hpp"

namespace clat::system {

namespace {

constexpr std::size_t kLargestFile = 64 * 1024;  // bytes
constexpr std::string_view kFormat = "1";
constexpr std::string_view kSuffix = ".record";
constexpr std::string_view kTunSuffix = ".tun";
constexpr std::string_view kRange = "range";  // of what is mapped one to one, as many lines as there are
constexpr const char* kLock = "lock";
constexpr std::array<std::string_view, 2> kTunFormats{"vnet", "packet-info"};  // by model::TunFormat
constexpr std::array<std::string_view, 3> kLegs{"fast", "routed", "anycast"};  // by model::Leg

Result<std::string> read_all(const Fd& file, std::size_t most) {
  std::string text(most + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read", errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > most) return failure("too large", EBADMSG);
  text.resize(size);
  return text;
}

Result<> write_all(const Fd& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(file.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failure("write", errno);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

std::string text_of(const NetworkNamespace& space) {
  std::string text = std::to_string(space.device) + ":" + std::to_string(space.inode);
  if (space.cookie) text += ":" + std::to_string(*space.cookie);
  return text;
}

Result<StateDir::Lines> parse_lines(std::string_view text) {
  StateDir::Lines lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto equals = text.find('=');
    if (end == std::string_view::npos || equals >= end || equals == 0) return failure("not key=value lines", EBADMSG);
    lines.emplace_back(text.substr(0, equals), text.substr(equals + 1, end - equals - 1));
    text.remove_prefix(end + 1);
  }
  return lines;
}

StateDir::Lines lines_of(const model::RecordSpec& record) {
  StateDir::Lines lines{{"uplink", record.uplink},
                        {"tun", record.tun},
                        {"tun-format", std::string(kTunFormats[static_cast<std::size_t>(record.shape.format)])},
                        {"queues", std::to_string(record.shape.queues)},
                        {"ifindex", std::to_string(record.uplink_ifindex)},
                        {"leg", std::string(kLegs[static_cast<std::size_t>(record.leg)])},
                        {"metric", record.metric ? std::to_string(*record.metric) : "none"},
                        {"v4", record.v4.text()},
                        {"v6", record.v6.text()},
                        {"prefix", record.prefix.text()}};
  for (const auto& range : record.ranges) lines.emplace_back(kRange, range.text());
  return lines;
}

std::optional<model::TunShape> shape_of(std::string_view format, std::string_view queues) {
  constexpr std::uint32_t kMostQueues = 256;  // MAX_TAP_QUEUES of Linux
  const auto known = std::ranges::find(kTunFormats, format);
  const auto number = parse_number<std::uint32_t>(queues, 1, kMostQueues);
  if (known == kTunFormats.end() || !number) return std::nullopt;
  return model::TunShape{static_cast<model::TunFormat>(known - kTunFormats.begin()), *number};
}

Result<model::RecordSpec> record_of(const StateDir::Lines& lines) {
  constexpr std::array<std::string_view, 10> keys{"uplink", "tun",    "tun-format", "queues", "ifindex",
                                                  "leg",    "metric", "v4",         "v6",     "prefix"};
  if (lines.size() < keys.size()) return failure("not the lines of a record", EBADMSG);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (lines[i].first != keys[i]) return failure("\"" + std::string(keys[i]) + "\" expected", EBADMSG);
  }
  const auto value = [&](std::string_view key) -> const std::string& {
    return lines[static_cast<std::size_t>(std::ranges::find(keys, key) - keys.begin())].second;
  };
  const auto shape = shape_of(value("tun-format"), value("queues"));
  const auto ifindex = parse_number<int>(value("ifindex"));
  const auto leg = std::ranges::find(kLegs, value("leg"));
  const auto metric = parse_number<std::uint32_t>(value("metric"));
  const bool has_metric = value("metric") != "none";
  const auto v4 = Ipv4Address::parse(value("v4"));
  const auto v6 = Ipv6Address::parse(value("v6"));
  const auto prefix = Nat64Prefix::parse(value("prefix"));
  std::vector<RangeMapping> ranges;
  for (const auto& [key, text] : std::span(lines).subspan(keys.size())) {
    const auto range = RangeMapping::parse(text);
    if (key != kRange || !range) return failure("\"" + std::string(kRange) + "\" expected", EBADMSG);
    ranges.push_back(*range);
  }
  if (!valid_interface_name(value("uplink")) || !valid_interface_name(value("tun")) || !shape || !ifindex ||
      *ifindex <= 0 || leg == kLegs.end() || (has_metric && !metric) || !v4 || !v6 || !prefix) {
    return failure("a value makes no sense", EBADMSG);
  }
  return model::RecordSpec{.uplink = value("uplink"),
                           .uplink_ifindex = *ifindex,
                           .tun = value("tun"),
                           .shape = *shape,
                           .leg = static_cast<model::Leg>(leg - kLegs.begin()),
                           .metric = metric,
                           .v4 = *v4,
                           .v6 = *v6,
                           .prefix = *prefix,
                           .ranges = std::move(ranges)};
}

// flock(), so that the lock goes with the process; its number is in the file for whoever comes second.
Result<> take_lock(const Fd& lock) {
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failure("flock", errno);
    const auto text = read_all(lock, 32);
    const auto holder = text ? parse_number<unsigned>(text->substr(0, text->find('\n'))) : std::nullopt;
    return failure("in use by another clatvisor" + (holder ? ", pid " + std::to_string(*holder) : ""), EBUSY);
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0) return failure("ftruncate", errno);
  return write_all(lock, pid);
}

std::string in_directory(const std::string& path, const std::string& file) { return path + "/" + file; }

}  // namespace

Result<Origin> Origin::here() {
  const Fd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  if (!file) return failure("open boot_id", errno);
  auto boot = read_all(file, 64);
  if (!boot) return std::unexpected(std::move(boot.error()).in("boot_id"));
  while (boot->ends_with('\n')) boot->pop_back();
  const auto network = this_network_namespace();
  if (!network) return std::unexpected(network.error());
  return Origin{.boot = std::move(*boot), .namespace_ = text_of(*network)};
}

StateDir::StateDir(std::string path, Origin origin, Fd directory, Fd lock)
    : path_(std::move(path)), origin_(std::move(origin)), directory_(std::move(directory)), lock_(std::move(lock)) {}

Result<StateDir> StateDir::open(const std::string& path) {
  auto origin = Origin::here();
  if (!origin) return std::unexpected(origin.error());
  return open(path, std::move(*origin));
}

Result<StateDir> StateDir::open(const std::string& path, Origin origin) {
  const std::string context = "state directory " + path;
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failure("create " + context, errno);
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return failure("open " + context, errno);
  struct stat status{};
  if (::fstat(directory.get(), &status) != 0) return failure("stat " + context, errno);
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return failure(context + " can be written by other users", EPERM);
  }
  Fd lock(::openat(directory.get(), kLock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return failure("open " + in_directory(path, kLock), errno);
  if (auto taken = take_lock(lock); !taken) return std::unexpected(std::move(taken.error()).in(context));
  return StateDir(path, std::move(origin), std::move(directory), std::move(lock));
}

Result<> StateDir::write_note(const std::string& name, const Lines& lines) {
  std::string text =
      "format=" + std::string(kFormat) + "\nboot=" + origin_.boot + "\nnamespace=" + origin_.namespace_ + "\n";
  for (const auto& [key, value] : lines) text += key + "=" + value + "\n";

  // rename() is what makes it whole or not at all. No fsync: a note need not outlive the boot.
  const std::string temporary = name + ".tmp";
  {
    const Fd file(
        ::openat(directory_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return failure("create " + in_directory(path_, temporary), errno);
    if (auto written = write_all(file, text); !written) {
      return std::unexpected(std::move(written.error()).in(in_directory(path_, temporary)));
    }
  }
  if (::renameat(directory_.get(), temporary.c_str(), directory_.get(), name.c_str()) != 0) {
    return failure("rename to " + in_directory(path_, name), errno);
  }
  return {};
}

Result<StateDir::Lines> StateDir::read_note(const std::string& name) const {
  const std::string context = in_directory(path_, name);
  // O_NONBLOCK: a FIFO of that name must not stop us.
  const Fd file(::openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return failure(context, errno);
  const auto text = read_all(file, kLargestFile);
  if (!text) return std::unexpected(text.error().in(context));
  auto lines = parse_lines(*text);
  if (!lines) return std::unexpected(std::move(lines.error()).in(context));
  if (lines->size() < 3 || lines->at(0) != std::pair<std::string, std::string>("format", kFormat) ||
      lines->at(1).first != "boot" || lines->at(2).first != "namespace") {
    return failure(context + ": not a note of clatvisor", EBADMSG);
  }
  if (lines->at(1).second != origin_.boot) return failure(context + ": of another boot", ESTALE);
  if (lines->at(2).second != origin_.namespace_) return failure(context + ": of another network namespace", EXDEV);
  lines->erase(lines->begin(), lines->begin() + 3);
  return lines;
}

Result<> StateDir::erase_note(const std::string& name) {
  if (::unlinkat(directory_.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    return failure("remove " + in_directory(path_, name), errno);
  }
  return {};
}

Result<> StateDir::write(const model::RecordSpec& record) {
  if (!valid_interface_name(record.uplink)) return failure("\"" + record.uplink + "\" is no interface name", EINVAL);
  return write_note(record.uplink + std::string(kSuffix), lines_of(record));
}

Result<> StateDir::erase_record(const std::string& uplink) {
  if (!valid_interface_name(uplink)) return failure("\"" + uplink + "\" is no interface name", EINVAL);
  auto erased = forget_tun(uplink);
  return erased ? erase_note(uplink + std::string(kSuffix)) : erased;
}

Result<> StateDir::note_tun(const std::string& uplink, int ifindex) {
  if (!valid_interface_name(uplink)) return failure("\"" + uplink + "\" is no interface name", EINVAL);
  return write_note(uplink + std::string(kTunSuffix), {{"ifindex", std::to_string(ifindex)}});
}

Result<> StateDir::forget_tun(const std::string& uplink) { return erase_note(uplink + std::string(kTunSuffix)); }

int StateDir::noted_tun(const std::string& uplink) const {
  if (!valid_interface_name(uplink)) return 0;
  const auto lines = read_note(uplink + std::string(kTunSuffix));
  if (!lines || lines->size() != 1 || lines->front().first != "ifindex") return 0;
  return std::max(0, parse_number<int>(lines->front().second).value_or(0));
}

Result<model::RecordSpec> StateDir::read_record(const std::string& file) const {
  const auto lines = read_note(file);
  if (!lines) return std::unexpected(lines.error());
  auto record = record_of(*lines);
  if (!record) return std::unexpected(std::move(record.error()).in(in_directory(path_, file)));
  if (record->uplink + std::string(kSuffix) != file) {
    return failure(in_directory(path_, file) + ": is about another interface", EBADMSG);
  }
  return record;
}

Result<> StateDir::discard(const Ignored& ignored) {
  if (ignored.why.code == EXDEV) return {};
  return erase_note(ignored.file);
}

Result<StateDir::Records> StateDir::records() const {
  // fdopendir() takes the descriptor for its own, and its position is shared: open another.
  const int own = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(own < 0 ? nullptr : ::fdopendir(own),
                                                    [](DIR* d) { return d == nullptr ? 0 : ::closedir(d); });
  if (!listing) return failure("list " + path_, errno);

  Records found;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string file = entry->d_name;
    if (!file.ends_with(kSuffix)) continue;
    if (found.records.size() + found.ignored.size() == kMostRecords) {
      found.ignored.push_back({file, Error{path_ + ": more than " + std::to_string(kMostRecords) + " records", 0}});
      break;
    }
    if (auto record = read_record(file))
      found.records.push_back(std::move(*record));
    else
      found.ignored.push_back({file, std::move(record.error())});
  }
  std::ranges::sort(found.records, {}, &model::RecordSpec::uplink);
  return found;
}

}  // namespace clat::system
