// How everything is right now, as one value. The dump, health and every other face are renderings of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/model/hook.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/specs.hpp"

namespace clat::model {

enum class State : std::uint8_t { waiting, starting, up, backoff, failed, stopping };
std::string_view name(State state);

enum class ChildState : std::uint8_t { none, starting, running, stopping, backoff, flapping, failed };
std::string_view name(ChildState state);

// Name and value of each counter, in the order of the log line.
using Counters = std::vector<std::pair<std::string, std::uint64_t>>;

// Counters as they were, and so long before, if they were collected twice.
struct Counted {
  Counters now;
  Counters before;
  milliseconds between{};
  bool operator==(const Counted&) const = default;
};

// A prefix that was discovered.
struct OfferStatus {
  PrefixCandidate candidate;
  std::optional<milliseconds> expires_in = {};
  bool operator==(const OfferStatus&) const = default;
};

// Why downloads that the fast path translates are not shaped as the uplink's own.
enum class Unshaped : std::uint8_t {
  no_redirect,   // nothing shapes the uplink, or the copy is yet to be made
  off,           // by the config
  by_uplink,     // they are: off the fast leg the uplink's own filters see them
  other_filter,  // no filter hands all that comes in to another device
  no_ifb,        // that device does not hand it back
  ifb_down,      // or gone
  failure,
};
std::string_view name(Unshaped why);
struct Shaping {
  std::string device = {};  // ifb that they follow; empty: none
  Unshaped why = Unshaped::no_redirect;
  std::optional<Error> error = {};
  std::optional<bpf::OtherFilter> other = {};  // at the uplink's ingress; does not see what the fast path takes
  bool operator==(const Shaping&) const = default;
};

// An uplink's clatd.
struct ChildStatus {
  ChildState state = ChildState::none;
  int pid = 0;  // 0: none
  bool ready = false;
  unsigned starts = 0;
  unsigned restarts = 0;
  std::optional<milliseconds> next_start_in = {};
  std::optional<Ending> last_end = {};  // of the last that nobody had asked to end
  // While it flaps: so many ends, within that time.
  std::size_t ends = 0;
  milliseconds ends_within{};
  bool operator==(const ChildStatus&) const = default;
};

// Whether what is pinged through the CLAT answers.
struct ProbeStatus {
  Ipv4Address address;
  unsigned failures = 0;  // in a row
  bool operator==(const ProbeStatus&) const = default;
};

// A hook that runs, or how the last one ended.
struct HookStatus {
  std::string path;
  bool up = false;                            // the state that it was told
  std::optional<milliseconds> runs_for = {};  // none: it has ended
  std::optional<HookFailure> failure = {};
  bool operator==(const HookStatus&) const = default;
};

struct InterfaceStatus {
  std::string name;
  std::string entry = {};  // of the config: its name, or an altname
  int ifindex = 0;         // 0: there is no such link
  State state = State::waiting;
  milliseconds in_state{};
  std::optional<milliseconds> up_for = {};
  std::optional<Reason> obstacle = {};  // what stands in the way, or is waited for
  std::optional<Error> failure = {};    // of the first part that could not be made or removed
  milliseconds retry_in{};              // with `failure`
  std::optional<Ipv4Address> v4 = {};
  std::optional<Ipv6Address> v6 = {};
  std::vector<RangeMapping> ranges = {};  // hosts of a LAN that are mapped one to one
  std::optional<Nat64Prefix> prefix = {};
  std::optional<PrefixSource> prefix_source = {};
  std::vector<OfferStatus> offers = {};
  std::optional<Route> route = {};           // towards the NAT64
  std::uint32_t ipv6_mtu = 0;                // towards the NAT64, bytes; 0: not known
  std::uint32_t ipv4_mtu = 0;                // of the tun, bytes; 0: none
  std::optional<std::uint32_t> metric = {};  // of the IPv4 default route; none: there is to be none
  bool route_is_taken = false;               // another default route has that metric
  Firewall firewall = {};                    // of the host
  std::string tun;
  int tun_ifindex = 0;                      // 0: none
  std::uint32_t net_id = 0;                 // Android's
  std::string fast_path = {};               // "tcx", "clsact"; empty: none
  bool fast_path_is_off = false;            // by the config
  std::optional<Error> no_fast_path = {};   // why it is not to be had
  std::optional<Error> no_bpf_filter = {};  // likewise what confines clatd
  Shaping shaping = {};
  std::vector<Part> stands = {};  // in the order of making
  ChildStatus child = {};
  std::optional<ProbeStatus> probe = {};  // none: nobody is pinged
  std::optional<HookStatus> hook = {};    // none: no hook has been run
  Counted counted = {};
  bool operator==(const InterfaceStatus&) const = default;
};

// A config file that was refused at a reload.
struct ConfigRejected {
  std::string file;
  unsigned line = 0, column = 0;  // 1-based; 0: the file as a whole
  std::string reason;
  std::size_t errors = 1;
  bool operator==(const ConfigRejected&) const = default;
};

struct Status {
  std::string config;  // the file
  milliseconds uptime{};
  unsigned reloads = 0;
  std::optional<ConfigRejected> refused = {};    // since the last one that was accepted
  std::vector<InterfaceStatus> interfaces = {};  // by name
  bool operator==(const Status&) const = default;
};

}  // namespace clat::model
