// What the operator wants: the validated configuration as passive values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/ipv6_prefix.hpp"
#include "core/net/name_server.hpp"
#include "core/net/pool.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"

namespace clat::config {

using std::chrono::milliseconds;

// When an uplink gets a CLAT: only while it has no IPv4 of its own, or always.
enum class When { no_native_ipv4, always };
enum class FastPathMode { automatic, off, required };
// The command line that clatd is started with, and what it is handed: that of the bundled one, or of Android's.
enum class Dialect { native, aosp, aosp_2019 };
enum class LogLevel { debug, info, warn, error };
enum class LogFormat { logfmt, json };

// Where the CLAT's IPv6 address lies if not on the uplink: in a prefix that is routed to this host, or in the one that
// is delegated to the interface of that name.
using Ipv6Source = std::variant<Ipv6Prefix, std::string>;

// What is pinged through the CLAT, to find out whether the NAT64 works.
struct Probe {
  Ipv4Address address{};
  milliseconds interval{30'000};

  bool operator==(const Probe&) const = default;
};

struct Interface {
  std::string name{};                         // of the uplink, or an altname of it, or a pattern
  std::string tun{};                          // tun_name(name) unless the file gives another; of a pattern none
  std::optional<Nat64Prefix> nat64_prefix{};  // none: discovered
  std::vector<Nat64Prefix> only_prefixes{};   // of those that are discovered; empty: any
  std::optional<Ipv4Address> ipv4_address{};  // none: first free of Config::ipv4_pool
  std::optional<Ipv6Address> ipv6_address{};  // none: random and checksum-neutral in a subnet
  std::optional<Ipv6Source> ipv6_source{};
  std::vector<RangeMapping> ranges{};  // hosts of a LAN that are mapped one to one
  std::optional<std::uint32_t> mtu{};  // IPv6 MTU towards the NAT64, bytes; none: the uplink's
  When when = When::no_native_ipv4;
  FastPathMode fast_path = FastPathMode::automatic;
  std::optional<std::uint32_t>
      route_metric{};  // none: no default route; of a pattern the first that its links may have
  std::uint32_t mark = 0;
  std::uint32_t net_id = 0;
  std::uint32_t queues = 1;                        // of the tun, and threads of the translator
  std::optional<std::uint32_t> lowest_ipv6_mtu{};  // RFC 7915 §4.1; none: the uplink's MTU
  bool allow_private_ipv4 = true;               // non-global IPv4 addresses under the well-known prefix (RFC 6052 §3.1)
  std::vector<std::string> on_up{}, on_down{};  // argv of programs that are run then; empty: none
  std::optional<Probe> probe{};                 // none: nobody is pinged

  bool follow_shaping = true;  // what an ifb does for the uplink, it does for downloads by the fast path

  bool operator==(const Interface&) const = default;
};

// Delay before start n+1 in a row: min(max, initial * factor^n), spread by +-jitter; a run of stable_after starts anew.
struct Restart {
  milliseconds initial{100};
  milliseconds max{30'000};
  double factor = 2;
  double jitter = 0.2;  // share of the delay, 0 to 1
  milliseconds stable_after{60'000};

  bool operator==(const Restart&) const = default;
};

struct Clatd {
  std::string path{};  // absolute, executable when the config was read
  Dialect dialect = Dialect::native;
  std::string user = "auto";  // when the config was read: clatvisor if there is that user, else nobody
  std::uint32_t uid = 65534;  // of `user`, looked up then
  std::uint32_t gid = 65534;
  Restart restart{};
  milliseconds stop_timeout{5'000};

  bool operator==(const Clatd&) const = default;
};

struct Log {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::logfmt;
  std::string target = "stderr";  // "stderr", "syslog" or an absolute path
  milliseconds health_interval{60'000};

  bool operator==(const Log&) const = default;
};

// Where clatctl finds clatvisor.
struct ControlSocket {
  std::string path = "/run/clatvisor/control.sock";  // empty: nowhere
  std::string group{};                               // that may ask as root may; changes are for root alone
  std::optional<std::uint32_t> gid{};                // of `group`, looked up when the config was read

  bool operator==(const ControlSocket&) const = default;
};

// What is done for a LAN behind the CLATs, for each of them.
struct Lan {
  bool masquerade = false;  // of IPv4 that goes out by the tun
  bool clamp_mss = false;   // of TCP over IPv4 that is forwarded into the tun or out of it
  bool forwarding = false;  // net.ipv4.ip_forward, as long as there is a CLAT

  bool operator==(const Lan&) const = default;
  [[nodiscard]] bool wants_anything() const { return *this != Lan{}; }
};

struct Config {
  std::vector<Interface> interfaces{};  // in file order, names unique
  Clatd clatd{};
  Log log{};
  Ipv4Pool ipv4_pool = Ipv4Pool::service_continuity();
  std::vector<NameServer> dns_servers{};  // none: those that the host was told of
  milliseconds audit_interval{5'000};
  std::uint32_t icmp_rate_per_second = 100;
  ControlSocket control_socket{};
  Lan lan{};
  std::vector<std::string> offload{};  // devices of the LAN whose flows may take the shortcut
  std::string state_dir = "/run/clatvisor";
  std::string bpf_dir = "/sys/fs/bpf/clatvisor";

  bool operator==(const Config&) const = default;
  [[nodiscard]] const Interface* find(const std::string& uplink) const;  // none: not configured
};

// Whether the key of an interface stands for each link whose name matches it, as of fnmatch(3).
bool is_pattern(std::string_view key);

// "v4-wan0" for "wan0"; of a name that is too long for that, the last 12 characters.
std::string tun_name(const std::string& uplink);

}  // namespace clat::config
