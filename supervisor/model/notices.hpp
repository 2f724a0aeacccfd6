// What is worth telling, one struct for each event of the log. Whoever decides says what happened, and why; the words
// are log/words.cpp's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "supervisor/model/actions.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/model/hook.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/specs.hpp"
#include "supervisor/model/status.hpp"

namespace clat::model {

namespace notice {

// --- clatvisor itself

struct SupervisorStarted {
  std::string version;
  int pid = 0;
  std::string config;
};
struct SupervisorAdopted {
  std::string tun;
  Ipv4Address v4;
  Ipv6Address v6;
};
struct SupervisorHandover {};
struct SupervisorStopping {
  int signal = 0;
};
struct SupervisorStopped {};
struct RecordIgnored {
  std::string why;
};
// A tun of an earlier supervisor's is not in this network namespace any more.
struct TunMissing {
  std::string tun;
};
struct SysctlRisky {
  std::string name, value, why;
};
struct NotifyFailed {
  Error error;
};

// clatctl finds nobody.
struct ControlFailed {
  Error error;
};
// Somebody asked for a change by the control socket.
struct ControlRequested {
  std::string request;
  unsigned uid = 0;
  int pid = 0;
};

// --- configuration

struct ConfigLoaded {
  std::string file;
  std::size_t interfaces = 0;
  // Names; none the first time.
  struct Changes {
    std::vector<std::string> added, changed, removed;
  };
  std::optional<Changes> changes = {};
};
using ConfigRejected = model::ConfigRejected;

// --- uplinks

struct LinkUp {
  int ifindex = 0;
  std::uint32_t mtu = 0;
};
struct LinkDown {
  bool set_down = false;  // else it has no carrier
};
struct LinkGone {
  int ifindex = 0;
};

// --- the CLAT of an uplink

// clat.failed where somebody has to act, else clat.waiting.
struct Hindered {
  Reason reason;
};
struct AddressChosen {
  Ipv4Address v4;
  Ipv6Address v6;
  Nat64Prefix prefix;
};
struct AddressRetired {
  Ipv6Address v6;
};
// A neighbour has the CLAT's address, or probes for it as we do.
struct AddressConflict {
  Ipv6Address v6;
  MacAddress mac;  // of the neighbour
  bool probe = false;
  bool kept = false;           // the config names it; else another is chosen
  milliseconds retry_in = {};  // when
  bool operator==(const AddressConflict&) const = default;
};
struct NeighbourFlood {
  bool operator==(const NeighbourFlood&) const = default;
};
// The router towards the NAT64 does not answer, and another is taken, if there is one.
struct NextHopFailed {
  Ipv6Address router;
  std::optional<Ipv6Address> via = {};
  bool operator==(const NextHopFailed&) const = default;
};
struct NextHopRestored {
  Ipv6Address router;
  bool operator==(const NextHopRestored&) const = default;
};
struct ClatUp {
  std::string tun;
  Ipv4Address v4;
  Ipv6Address v6;
  Nat64Prefix prefix;
  std::uint32_t mtu = 0;
  Leg leg = Leg::fast;
  std::string fast_path;  // with Leg::fast: how it is attached
};
struct ClatDown {
  Reason reason;
};
// A chain of the host's firewall drops what the CLAT needs to be forwarded, or only what a LAN sends by it.
struct ClatBlocked {
  std::string chain;
  bool of_lan = false;
};
struct PartNotMade {
  Verb verb = Verb::make;
  Part part = Part::record;
  Error error;
  milliseconds retry_in{};
};
// The NAT64 prefix that is used from now on, discovered.
struct PrefixFound {
  Nat64Prefix prefix;
  PrefixSource source = PrefixSource::ra;
  std::optional<Ipv6Address> router = {};
  std::optional<std::chrono::seconds> lifetime = {};
  bool operator==(const PrefixFound&) const = default;
};
// It was withdrawn, or nobody advertised it again in time, and there is no other.
struct PrefixLost {
  Nat64Prefix prefix;
  bool expired = false;
  bool operator==(const PrefixLost&) const = default;
};
// The DNS was asked, and knows none, or why it could not be asked.
struct PrefixUnknown {
  std::optional<Error> error = {};
  milliseconds retry_in{};
  bool operator==(const PrefixUnknown&) const = default;
};
// More than one uplink can have.
struct PrefixesIgnored {
  Nat64Prefix prefix;
  Ipv6Address router;
  bool operator==(const PrefixesIgnored&) const = default;
};
// Another IPv4 default route has the metric.
struct RouteTaken {
  std::uint32_t metric = 0;
  bool operator==(const RouteTaken&) const = default;
};
struct RouteRestored {
  std::uint32_t metric = 0;
  bool operator==(const RouteRestored&) const = default;
};
struct ForwardingOff {
  Error error;
  milliseconds retry_in{};
};
struct PartLost {
  Part part = Part::record;
  Error error;
};

// --- clatd

struct ClatSpawned {
  int pid = 0;
  unsigned restarts = 0;
};
struct ClatReady {
  int pid = 0;
  milliseconds after{};
  std::uint64_t drained = 0;
};
struct ClatReplaced {
  int pid = 0;
  Condemned why;
};
struct ClatExited {
  int pid = 0;
  std::variant<Exited, Killed> end;
  milliseconds uptime{};
  bool asked = false;
};
struct ClatRefusedArguments {};
struct ClatBackoff {
  milliseconds delay{};
  unsigned failures = 0;  // in a row
  Ending end;
};
struct ClatFlapping {
  std::size_t ends = 0;
  milliseconds within{};
  Ending end;
  milliseconds longest_delay{};
};
// What Android's netd says at this point.
struct NetdStarting {
  Ipv4Address v4;
  Ipv6Address v6;
  Nat64Prefix prefix;
};
struct NetdStarted {};
struct NetdStopping {
  int pid = 0;
};
struct NetdStopped {};
using ChildOutput = model::ChildOutput;

// --- hooks

struct HookDone {
  std::string path;
  bool up = false;  // the state that it was told
  milliseconds took{};
};
using HookFailure = model::HookFailure;
using HookOutput = model::HookOutput;

// --- what confines it

struct FilterUnavailable {
  Error error;  // of BPF
};
struct FilterRestored {
  FilterMeans means = FilterMeans::bpf;
};

// --- fast path

struct FastpathAttached {
  std::string kind;
};
struct FastpathRestored {
  std::string kind;
};
struct FastpathLost {
  Error error;
};
struct FastpathUnavailable {
  Error error;
};

// --- its shaping

struct ShapingFollowed {
  std::string device;
  bpf::Redirect redirect;
};
struct ShapingEnded {
  std::string device;
  Shaping now;
};
// Something of the uplink's shaping is not followed.
struct ShapingIgnored {
  Shaping now;
};

// --- the shortcut of the LAN

// `iface` of the notice is the LAN's device.
struct ShortcutServed {};
// One of the two says why.
struct ShortcutUnavailable {
  std::optional<Unserved> why;
  std::optional<Error> error;
};

// --- the kernel's notifications

struct NetlinkOverrun {
  std::optional<Error> error = {};  // none: the receive buffer overflowed
};
struct NetlinkResynced {};

// --- numbers and dumps

struct Health {
  InterfaceStatus status;
};
struct StateDump {
  Status status;
};

// --- step by step

// What clatvisor does beside the parts.
enum class Deed : std::uint8_t {
  purge,          // of what an earlier supervisor left; it is tried again
  purge_at_stop,  // the same, given up
  purge_at_end,   // of the programs, as the last thing
  sweep,
  verify,
  read_kernel,
  watch_netlink,
  reopen_log,
};
struct DeedFailed {
  Deed deed = Deed::purge;
  Error error;
};
struct ActionFailed {
  Verb verb = Verb::make;
  Part part = Part::record;
  Error error;
};
struct ActionDone {
  Verb verb = Verb::make;
  Part part = Part::record;
};

}  // namespace notice

using What = std::variant<
    notice::SupervisorStarted, notice::SupervisorAdopted, notice::SupervisorHandover, notice::SupervisorStopping,
    notice::SupervisorStopped, notice::RecordIgnored, notice::TunMissing, notice::SysctlRisky, notice::NotifyFailed,
    notice::ControlFailed, notice::ControlRequested, notice::ConfigLoaded, notice::ConfigRejected, notice::LinkUp,
    notice::LinkDown, notice::LinkGone, notice::Hindered, notice::AddressChosen, notice::AddressRetired,
    notice::AddressConflict, notice::NeighbourFlood, notice::NextHopFailed, notice::NextHopRestored, notice::ClatUp,
    notice::ClatDown, notice::ClatBlocked, notice::PartNotMade, notice::PrefixFound, notice::PrefixLost,
    notice::PrefixUnknown, notice::PrefixesIgnored, notice::RouteTaken, notice::RouteRestored, notice::ForwardingOff,
    notice::PartLost, notice::ClatSpawned, notice::ClatReady, notice::ClatReplaced, notice::ClatExited,
    notice::ClatRefusedArguments, notice::ClatBackoff, notice::ClatFlapping, notice::NetdStarting, notice::NetdStarted,
    notice::NetdStopping, notice::NetdStopped, notice::ChildOutput, notice::HookDone, notice::HookFailure,
    notice::HookOutput, notice::FilterUnavailable, notice::FilterRestored, notice::FastpathAttached,
    notice::FastpathRestored, notice::FastpathLost, notice::FastpathUnavailable, notice::ShapingFollowed,
    notice::ShapingEnded, notice::ShapingIgnored, notice::ShortcutServed, notice::ShortcutUnavailable,
    notice::NetlinkOverrun, notice::NetlinkResynced, notice::Health, notice::StateDump, notice::DeedFailed,
    notice::ActionFailed, notice::ActionDone>;

struct Notice {
  std::string iface;  // empty: concerns no one interface
  What what;
};

}  // namespace clat::model
