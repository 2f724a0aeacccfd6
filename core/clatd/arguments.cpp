#include "core/clatd/arguments.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/numbers.hpp"
#include "core/clatd/mtus.hpp"
#include "core/xlat/translator.hpp"

namespace clat::clatd {

namespace {

using Fault = std::unexpected<std::string>;
// Why a value was not taken.
using Refusal = std::optional<std::string>;

constexpr std::uint32_t kLeastFd = 3, kMostFd = 1023;  // 0 to 2 are the standard streams
constexpr std::uint32_t kMostQueues = 8, kMostIcmpRate = 1'000'000, kAnyNumber = 0xffffffff;
constexpr int kSecondQueue = 5;  // behind the tun, 3, and the control socket, 4

// Values as they come.
struct Draft {
  std::string interface, prefix;
  std::optional<Ipv4Address> v4;
  std::optional<Ipv6Address> v6;
  std::optional<int> tun_fd, control_fd, packet_fd, raw_fd;
  std::optional<std::uint32_t> network_id, mark, mtu, lowest;
  std::optional<Ids> ids;
  std::optional<std::uint32_t> queues, icmp_rate;
  std::vector<RangeMapping> ranges;
  bool vnet = false, allow_private_ipv4 = false;
};

Fault fault(std::string_view option, std::string_view why) {
  return Fault(std::string(option).append(": ").append(why));
}

template <class Integer>
Refusal take_number(std::string_view value, std::uint32_t least, std::uint32_t most, const char* what,
                    std::optional<Integer>& into) {
  const auto number = parse_number(value, least, most);
  if (!number) {
    return std::string("expected ").append(what) + " from " + std::to_string(least) + " to " + std::to_string(most);
  }
  into = static_cast<Integer>(*number);
  return std::nullopt;
}

Refusal take_fd(std::string_view value, std::optional<int>& fd) {
  return take_number(value, kLeastFd, kMostFd, "a file descriptor", fd);
}

Refusal take_mtu(std::string_view value, std::optional<std::uint32_t>& mtu) {
  return take_number(value, kIpv6MinimumMtu, kLargestIpv6Mtu, "an MTU", mtu);
}

Refusal take_interface(std::string_view value, Draft& draft) {
  if (value.empty() || value.size() > 15) return "expected an interface name of 1 to 15 characters";
  draft.interface = value;
  return std::nullopt;
}

Refusal take_v4(std::string_view value, Draft& draft) {
  draft.v4 = Ipv4Address::parse(value);
  if (!draft.v4) return "not an IPv4 address";
  return std::nullopt;
}

Refusal take_v6(std::string_view value, Draft& draft) {
  draft.v6 = Ipv6Address::parse(value);
  if (!draft.v6) return "not an IPv6 address";
  if (draft.v6->is_unspecified() || draft.v6->is_multicast()) return "not a unicast address";
  return std::nullopt;
}

// As printf("0x%x") writes it.
Refusal take_mark(std::string_view value, Draft& draft) {
  draft.mark =
      value.starts_with("0x") ? parse_number<std::uint32_t>(value.substr(2), 16) : parse_number<std::uint32_t>(value);
  if (!draft.mark) return "expected a number of 32 bits";
  return std::nullopt;
}

Refusal take_ids(std::string_view value, Draft& draft) {
  constexpr std::uint32_t kMostId = 0xfffffffe;  // -1 means "leave it" to setresuid
  const auto colon = value.find(':');
  const auto user = parse_number(value.substr(0, colon), 0U, kMostId);
  const auto group =
      colon == std::string_view::npos ? std::nullopt : parse_number(value.substr(colon + 1), 0U, kMostId);
  if (!user || !group) return "expected UID:GID, two decimal numbers";
  draft.ids = Ids{*user, *group};
  return std::nullopt;
}

Refusal take_range(std::string_view value, Draft& draft) {
  const auto range = RangeMapping::parse(value);
  if (!range) return range.error().what;
  if (draft.ranges.size() == xlat::kMostRanges) return "too many; at most " + std::to_string(xlat::kMostRanges);
  draft.ranges.push_back(*range);
  return std::nullopt;
}

Refusal take_format(std::string_view value, Draft& draft) {
  if (value != "vnet") return "the one format known is vnet";
  draft.vnet = true;
  return std::nullopt;
}

struct Option {
  std::string_view name;
  Refusal (*take)(std::string_view value, Draft& draft);
  bool has_value = true;
};

using Text = std::string_view;
constexpr std::array kOptions{
    Option{"-i", take_interface},
    Option{"-p",
           [](Text value, Draft& draft) -> Refusal {
             draft.prefix = value;
             return {};
           }},
    Option{"-4", take_v4},
    Option{"-6", take_v6},
    Option{"-t", [](Text value, Draft& draft) { return take_fd(value, draft.tun_fd); }},
    Option{"-r", [](Text value, Draft& draft) { return take_fd(value, draft.packet_fd); }},
    Option{"-w", [](Text value, Draft& draft) { return take_fd(value, draft.raw_fd); }},
    Option{"-n",
           [](Text value, Draft& draft) { return take_number(value, 0, kAnyNumber, "a number", draft.network_id); }},
    Option{"-m", take_mark},
    Option{"--tun-format", take_format},
    Option{"--control-fd", [](Text value, Draft& draft) { return take_fd(value, draft.control_fd); }},
    Option{"--user", take_ids},
    Option{"--queues",
           [](Text value, Draft& draft) { return take_number(value, 1, kMostQueues, "a number", draft.queues); }},
    Option{"--mtu", [](Text value, Draft& draft) { return take_mtu(value, draft.mtu); }},
    Option{"--lowest-ipv6-mtu", [](Text value, Draft& draft) { return take_mtu(value, draft.lowest); }},
    Option{"--icmp-rate",
           [](Text value, Draft& draft) { return take_number(value, 0, kMostIcmpRate, "a number", draft.icmp_rate); }},
    Option{"--map", take_range},
    Option{"--allow-private-ipv4",
           [](Text, Draft& draft) -> Refusal {
             draft.allow_private_ipv4 = true;
             return {};
           },
           false},
};

// The options that are passed tell the dialect. The tun does not: TUNGETIFF cannot say which format it has.
std::expected<Dialect, std::string> find_dialect(const Draft& draft) {
  const bool sockets = draft.packet_fd || draft.raw_fd, network = draft.network_id || draft.mark;
  if (draft.vnet) {
    if (sockets || network) return fault("--tun-format", "-r, -w, -n and -m are for Android's, which has none");
    return Dialect::native;
  }
  if (draft.queues) return fault("--queues", "needs --tun-format vnet");
  if (sockets) {
    if (!draft.packet_fd) return fault("-r", "missing: the packet socket's file descriptor");
    if (!draft.raw_fd) return fault("-w", "missing: the raw socket's file descriptor");
    return Dialect::aosp;
  }
  if (network) return Dialect::aosp_2019;
  return fault("--tun-format", "missing: vnet");
}

std::expected<std::vector<int>, std::string> list_tuns(const Draft& draft) {
  std::vector<int> tuns{*draft.tun_fd};
  for (std::uint32_t n = 1; n < draft.queues.value_or(1); ++n) tuns.push_back(kSecondQueue + static_cast<int>(n) - 1);
  std::vector<int> all = tuns;
  for (const auto& fd : {draft.control_fd, draft.packet_fd, draft.raw_fd}) {
    if (fd) all.push_back(*fd);
  }
  std::ranges::sort(all);
  const auto twice = std::ranges::adjacent_find(all);
  if (twice != all.end()) return Fault("file descriptor " + std::to_string(*twice) + ": named for two purposes");
  return tuns;
}

std::expected<CommandLine, std::string> finish(Draft& draft) {
  if (draft.interface.empty()) return fault("-i", "missing: the uplink's name");
  if (draft.prefix.empty()) return fault("-p", "missing: the NAT64 prefix with its length");
  if (!draft.v4) return fault("-4", "missing: the CLAT's IPv4 address");
  if (!draft.v6) return fault("-6", "missing: the CLAT's IPv6 address");
  if (!draft.tun_fd) return fault("-t", "missing: the tun's file descriptor");
  const auto dialect = find_dialect(draft);
  if (!dialect) return Fault(dialect.error());
  // Android knows only /96, and leaves the length out.
  if (*dialect != Dialect::native && draft.prefix.find('/') == std::string::npos) draft.prefix += "/96";
  const auto prefix = Nat64Prefix::parse(draft.prefix);
  if (!prefix) return fault("-p", prefix.error().what);
  auto tuns = list_tuns(draft);
  if (!tuns) return Fault(std::move(tuns.error()));
  return Arguments{.dialect = *dialect,
                   .interface = std::move(draft.interface),
                   .prefix = *prefix,
                   .v4 = *draft.v4,
                   .v6 = *draft.v6,
                   .tun_fds = std::move(*tuns),
                   .control_fd = draft.control_fd,
                   .packet_fd = draft.packet_fd,
                   .raw_fd = draft.raw_fd,
                   .network_id = draft.network_id.value_or(0),
                   .mark = draft.mark.value_or(0),
                   .ids = draft.ids,
                   .mtu = draft.mtu,
                   .lowest_ipv6_mtu = draft.lowest,
                   .icmp_rate = draft.icmp_rate.value_or(kDefaultIcmpRate),
                   .ranges = std::move(draft.ranges),
                   .allow_private_ipv4 = draft.allow_private_ipv4};
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
    std::string_view name = word;
    std::optional<std::string_view> value;
    if (word.starts_with("--")) {
      if (const auto equals = word.find('='); equals != std::string_view::npos) {
        name = word.substr(0, equals);
        value = word.substr(equals + 1);
      }
    } else if (word.size() > 2) {
      name = word.substr(0, 2);
      value = word.substr(2);
    }
    const auto option = std::ranges::find(kOptions, name, &Option::name);
    if (option == kOptions.end()) return fault(name, "no such option; try --help");
    if (option->has_value && !value) {
      if (i + 1 == words.size()) return fault(name, "needs a value; try --help");
      value = words[++i];
    }
    if (!option->has_value && value) return fault(name, "takes no value");
    if (auto refusal = option->take(value.value_or(""), draft)) return fault(name, *refusal);
  }
  return finish(draft);
}

std::string_view help_text() {
  return "usage: clatd-IFACE -i IFACE -p PREFIX/LENGTH -4 IPV4 -6 IPV6 -t FD --tun-format vnet [options]\n"
         "       clatd-IFACE -i IFACE -p PREFIX -4 IPV4 -6 IPV6 -t FD -r FD -w FD           as Android passes\n"
         "       clatd-IFACE -i IFACE -n NETID -m 0xMARK -p PREFIX -4 IPV4 -6 IPV6 -t FD    as it did until 2021\n"
         "Translates between IPv4 and IPv6 (RFC 7915) as the CLAT of one uplink. clatvisor starts it.\n"
         "  -i IFACE               the uplink's name\n"
         "  -p PREFIX/LENGTH       NAT64 prefix (RFC 6052), as 64:ff9b::/96\n"
         "  -4 IPV4, -6 IPV6       the CLAT's own addresses\n"
         "  -t FD                  open, non-blocking tun: IFF_TUN, IFF_NO_PI and IFF_VNET_HDR; Android's: IFF_TUN "
         "alone\n"
         "  -r FD, -w FD           packet socket for IPv6 in, raw socket for IPv6 out\n"
         "  -n NETID, -m MARK      network id, ignored; fwmark of the IPv6 packets sent\n"
         "  --tun-format vnet      what stands in front of each packet on the tun: a virtio_net_hdr\n"
         "  --queues N             queues of the tun and threads, 1 to 8; the second and further ones are fds 5, 6, "
         "...\n"
         "  --control-fd FD        socket of the supervisor; when it closes, clatd exits\n"
         "  --user UID:GID         run as these numeric ids\n"
         "  --mtu N                IPv6 MTU of the route to the prefix, 1280 to 65535 (1500; Android's: the uplink's)\n"
         "  --lowest-ipv6-mtu N    what IPv4 packets without DF are fragmented to (the MTU)\n"
         "  --icmp-rate N          ICMP errors of our own a second, burst of as many; 0: none (100)\n"
         "  --map IPV4/LEN=IPV6/LEN  further own addresses, IPv4 and where they are embedded; up to 8 times\n"
         "  --allow-private-ipv4   through 64:ff9b::/96, too (RFC 6052, section 3.1)\n"
         "  --version, --help\n"
         "exit status: 0 told to stop, or the supervisor is gone; 64 bad arguments; 71 a system call failed, or\n"
         "the tun device is gone\n";
}

}  // namespace clat::clatd
