#include "core/clatd/arguments.hpp"

#include <charconv>
#include <string_view>

namespace clat::clatd {

namespace {

using Fault = std::unexpected<std::string>;

Fault fault(std::string_view option, std::string_view why) {
  return Fault(std::string(option).append(": ").append(why));
}

// Decimal digits and nothing else.
std::optional<std::uint32_t> number(std::string_view text, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

constexpr std::uint32_t kMostFd = 1023;

// Values as they come, each set once.
struct Draft {
  std::optional<std::string> interface;
  std::optional<Nat64Prefix> prefix;
  std::optional<Ipv4Address> v4;
  std::optional<Ipv6Address> v6;
  std::optional<int> tun_fd, control_fd;
  std::optional<Ids> ids;
  bool vnet = false;
};

std::expected<void, std::string> take_fd(std::string_view option, std::string_view value, std::optional<int>& fd) {
  const auto n = number(value, kMostFd);
  // 0 to 2 are the standard streams.
  if (!n || *n < 3) return fault(option, "expected a file descriptor from 3 to 1023");
  fd = static_cast<int>(*n);
  return {};
}

std::expected<void, std::string> take_prefix(std::string_view option, std::string_view value, Draft& draft) {
  auto prefix = Nat64Prefix::parse(value);
  if (!prefix) return fault(option, prefix.error().what);
  draft.prefix = *prefix;
  return {};
}

std::expected<void, std::string> take_v4(std::string_view option, std::string_view value, Draft& draft) {
  draft.v4 = Ipv4Address::parse(value);
  if (!draft.v4) return fault(option, "not an IPv4 address");
  return {};
}

std::expected<void, std::string> take_v6(std::string_view option, std::string_view value, Draft& draft) {
  draft.v6 = Ipv6Address::parse(value);
  if (!draft.v6) return fault(option, "not an IPv6 address");
  if (draft.v6->is_unspecified() || draft.v6->is_multicast()) return fault(option, "not a unicast address");
  return {};
}

std::expected<void, std::string> take_ids(std::string_view option, std::string_view value, Draft& draft) {
  constexpr std::uint32_t kMostId = 0xfffffffe;  // -1 means "leave it" to setresuid
  const auto colon = value.find(':');
  if (colon == std::string_view::npos) return fault(option, "expected UID:GID, two decimal numbers");
  const auto user = number(value.substr(0, colon), kMostId);
  const auto group = number(value.substr(colon + 1), kMostId);
  if (!user || !group) return fault(option, "expected UID:GID, two decimal numbers");
  draft.ids = Ids{*user, *group};
  return {};
}

std::expected<void, std::string> take(std::string_view option, std::string_view value, Draft& draft) {
  if (option == "-i") {
    if (value.empty() || value.size() > 15) return fault(option, "expected an interface name of 1 to 15 characters");
    draft.interface = std::string(value);
    return {};
  }
  if (option == "-p") return take_prefix(option, value, draft);
  if (option == "-4") return take_v4(option, value, draft);
  if (option == "-6") return take_v6(option, value, draft);
  if (option == "-t") return take_fd(option, value, draft.tun_fd);
  if (option == "--control-fd") return take_fd(option, value, draft.control_fd);
  if (option == "--user") return take_ids(option, value, draft);
  if (option == "--tun-format") {
    if (value != "vnet") return fault(option, "the one format known is vnet");
    draft.vnet = true;
    return {};
  }
  return fault(option, "no such option; try --help");
}

std::expected<CommandLine, std::string> finish(Draft& draft) {
  if (!draft.interface) return fault("-i", "missing: the uplink's name");
  if (!draft.prefix) return fault("-p", "missing: the NAT64 prefix with its length");
  if (!draft.v4) return fault("-4", "missing: the CLAT's IPv4 address");
  if (!draft.v6) return fault("-6", "missing: the CLAT's IPv6 address");
  if (!draft.tun_fd) return fault("-t", "missing: the tun's file descriptor");
  if (!draft.vnet) return fault("--tun-format", "missing: vnet");
  if (draft.control_fd == draft.tun_fd) return fault("--control-fd", "is the tun's");
  return Arguments{*draft.interface, *draft.prefix, *draft.v4, *draft.v6, *draft.tun_fd, draft.control_fd, draft.ids};
}

}  // namespace

std::expected<CommandLine, std::string> parse(std::span<const char* const> words) {
  Draft draft;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--help") return HelpWanted{};
    if (word == "--version") return VersionWanted{};
    if (!word.starts_with('-')) return fault(word, "not an option; try --help");
    // "-i wan0", "-iwan0", "--user 1:1" and "--user=1:1" are all good.
    std::string_view option = word;
    std::optional<std::string_view> value;
    if (word.starts_with("--")) {
      if (const auto equals = word.find('='); equals != std::string_view::npos) {
        option = word.substr(0, equals);
        value = word.substr(equals + 1);
      }
    } else if (word.size() > 2) {
      option = word.substr(0, 2);
      value = word.substr(2);
    }
    if (!value) {
      if (i + 1 == words.size()) return fault(option, "needs a value; try --help");
      value = words[++i];
    }
    if (auto taken = take(option, *value, draft); !taken) return Fault(std::move(taken.error()));
  }
  return finish(draft);
}

std::string_view help_text() {
  return "usage: clatd-IFACE -i IFACE -p PREFIX/LENGTH -4 IPV4 -6 IPV6 -t FD --tun-format vnet [options]\n"
         "Translates between IPv4 and IPv6 (RFC 7915) as the CLAT of one uplink. clatvisor starts it.\n"
         "  -i IFACE            the uplink's name\n"
         "  -p PREFIX/LENGTH    NAT64 prefix (RFC 6052), as 64:ff9b::/96\n"
         "  -4 IPV4, -6 IPV6    the CLAT's own addresses\n"
         "  -t FD               open, non-blocking tun: IFF_TUN, IFF_NO_PI and IFF_VNET_HDR\n"
         "  --tun-format vnet   what stands in front of each packet on the tun: a virtio_net_hdr\n"
         "  --control-fd FD     socket of the supervisor; when it closes, clatd exits\n"
         "  --user UID:GID      run as these numeric ids\n"
         "  --version, --help\n"
         "exit status: 0 told to stop, or the supervisor is gone; 64 bad arguments; 71 a system call failed, or\n"
         "the tun device is gone\n";
}

}  // namespace clat::clatd
