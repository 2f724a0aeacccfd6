// What plan() asks of the edge.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/echo.hpp"
#include "core/net/ipv4_prefix.hpp"
#include "core/net/neighbour_message.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/model/hook.hpp"
#include "supervisor/model/nat64_question.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/shortcut.hpp"
#include "supervisor/model/specs.hpp"

namespace clat::model {

// make: bring it about, also when half or all of it is there already. change: from `before` to `spec` in place.
// remove: gone afterwards, also when it was gone before. For a child, change tells it new MTUs, remove sends SIGTERM
// and kill SIGKILL. verify: ask the kernel whether it is still there.
enum class Verb : std::uint8_t { make, change, remove, kill, verify };
std::string_view name(Verb verb);

struct PartAction {
  std::string uplink;
  Verb verb = Verb::make;
  Spec spec;
  std::optional<Spec> before;    // with change
  int pid = 0;                   // of the child that is changed, removed or killed
  std::optional<Reason> reason;  // with remove: why it must go
  bool operator==(const PartAction&) const = default;
};
// Take away everything that the record of an earlier supervisor names; the answer is Purged.
struct Purge {
  RecordSpec record;
  bool operator==(const Purge&) const = default;
};
// Ask the kernel for the way to the NAT64; the answer is LookedUp.
struct LookUpRoute {
  std::string uplink;
  WayTo way;
  bool operator==(const LookUpRoute&) const = default;
};
// Ask the uplink's routers to advertise themselves; the answer is Sent, and with luck RouterHeard.
struct Solicit {
  std::string uplink;
  bool operator==(const Solicit&) const = default;
};
// Tell all neighbours which link-layer address the CLAT's address has; the answer is Sent.
struct Advertise {
  std::string uplink;
  AddressClaim claim;
  bool operator==(const Advertise&) const = default;
};
// Ask whether a neighbour has the CLAT's address; the answer is Sent, and AddressContested if one has.
struct Probe {
  std::string uplink;
  AddressProbe probe;
  bool operator==(const Probe&) const = default;
};
// Ask for an answer of an IPv4 host, through the CLAT; the answer is PingEnded, at once or later.
struct Ping {
  std::string uplink;
  int tun = 0;  // ifindex
  Ipv4Address source;
  Ipv4Address target;
  EchoId echo;
  std::chrono::milliseconds patience{};
  bool operator==(const Ping&) const = default;
};
// Ask routers that do not answer whether they do again; the answer is Sent, and NextHopSeen when one does.
struct AskRouters {
  std::string uplink;
  int ifindex = 0;
  std::vector<Ipv6Address> routers;
  bool operator==(const AskRouters&) const = default;
};
// Ask children and maps for their counters; the answer is one HealthCollected, when all have answered, or at once
// with what is known when `overdue`.
struct CollectHealth {
  bool overdue = false;
  bool operator==(const CollectHealth&) const = default;
};
// What is reached through the host's own links: nobody behind a CLAT has an address of it. Has no answer. All of it
// each time, at most kMostSubnets, in order.
constexpr std::size_t kMostSubnets = 1024;
struct KnowSubnets {
  std::vector<Ipv4Prefix> subnets;
  bool operator==(const KnowSubnets&) const = default;
};
// Let flows between these devices and these CLATs go past the stack, and no others; the answer is ShortcutServed.
struct ServeShortcut {
  ShortcutSpec spec;
  bool operator==(const ServeShortcut&) const = default;
};
// Look at what nobody notifies about, read each table of the kernel once, and ask the children whether they live; the
// answer is one Audited.
struct Audit {
  struct Check {
    std::string uplink;
    Spec spec;  // what should be there
    bool operator==(const Check&) const = default;
  };
  std::vector<Check> checks;
  bool shortcut = false;  // it is served
  bool operator==(const Audit&) const = default;
};
// Run a hook; the answer is HookStarted.
struct RunHook {
  std::string uplink;
  HookCall call;
  bool operator==(const RunHook&) const = default;
};
// To a hook and the processes that it has started; the answer is Sent, and later HookExited.
struct SignalHook {
  std::string uplink;
  int pid = 0;
  int signal = 0;
  bool operator==(const SignalHook&) const = default;
};
struct Exit {
  bool operator==(const Exit&) const = default;
};
using Action = std::variant<PartAction, Purge, LookUpRoute, Solicit, Advertise, Probe, Ping, AskRouters, Nat64Question,
                            CollectHealth, KnowSubnets, ServeShortcut, Audit, RunHook, SignalHook, Exit>;

}  // namespace clat::model
