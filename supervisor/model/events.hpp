// Everything that can happen, as values. Each enters through one door, App::handle.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/config.hpp"
#include "core/base/error.hpp"
#include "core/net/neighbour_message.hpp"
#include "core/net/router_advertisement.hpp"
#include "supervisor/model/actions.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/model/nat64_question.hpp"
#include "supervisor/model/status.hpp"

namespace clat::model {

struct ConfigLoaded {
  std::shared_ptr<const config::Config> config;
  std::string file;
};
// What earlier supervisors of this boot left behind; before the first ConfigLoaded.
struct RecordsFound {
  std::vector<RecordSpec> records;
};
struct StopRequested {
  int signal = 0;
};
// Leave everything in the kernel to a successor and exit (SIGUSR2).
struct HandoverRequested {};
struct DumpRequested {};  // SIGUSR1
// Somebody wants to know how everything is, with counters as they are now: World::status_asked is false when they are.
struct StatusAsked {};
// Replace its clatd.
struct RestartAsked {
  std::string uplink;
};

struct LinkSeen {
  Link link;
  bool tells_altnames = true;  // if not, they are as they were
};
struct LinkGone {
  int ifindex = 0;
};
struct Ipv6Seen {
  int ifindex = 0;
  Ipv6OnLink address;
};
struct Ipv6Gone {
  int ifindex = 0;
  Ipv6Address address;
};
// Some IPv6 route came, went or changed that is not ours.
struct Ipv6RoutesChanged {};
// An IPv4 default route of this metric went, ours or not, or one that is not ours came, maybe in the place of ours.
struct Ipv4DefaultRouteChanged {
  std::uint32_t metric = 0;
};
struct Ipv4Seen {
  int ifindex = 0;
  Ipv4OnLink address;
};
struct Ipv4Gone {
  int ifindex = 0;
  Ipv4Address address;
};
// A whole dump: at start, and after an overrun (then `overrun` is set).
struct KernelDumped {
  Kernel kernel;
  bool overrun = false;
};
// Some filter or qdisc of this interface came or went.
struct TrafficControlChanged {
  int ifindex = 0;
  std::optional<bpf::Ingress> ingress = {};  // as it is now; none: it could not be read
};
// Somebody, maybe we, changed some rule or table of nftables. Heard while there are rules of ours.
struct NftablesChanged {};

// A router of the uplink advertised itself; `prefixes` may be none.
struct RouterHeard {
  std::string uplink;
  Ipv6Address router;  // link-local
  std::vector<AdvertisedPrefix> prefixes;
  std::vector<AdvertisedNameServer> name_servers = {};
  std::optional<std::uint32_t> mtu = {};
};

// A station on the uplink says that it has the CLAT's address, or wants to have it. Maybe it is our own message come
// back.
struct AddressContested {
  std::string uplink;
  NeighbourMessage said;
  MacAddress sender;  // of the frame
};
// More is said of the CLAT's address than anybody has to hear.
struct NeighboursFlood {
  std::string uplink;
};

// A router does not answer any more, or does again, as the kernel found out on its way to it.
struct NextHopSeen {
  std::string uplink;
  Ipv6Address router;
  bool answers = false;
};

// A message of neighbour discovery, or a signal to a hook, was sent, or could not be.
struct Sent {
  std::string uplink;
  Result<> result;
};

// An answer has come, or why none has.
struct PingEnded {
  std::string uplink;
  std::uint64_t nonce = 0;
  Result<> result;
};

// The one result of each PartAction. `ifindex` answers make tun; `pid` make child; `firewall` make and change announce;
// `detail` is for the log: how the
// fast path is attached ("tcx", "clsact").
struct Made {
  int ifindex = 0;
  int pid = 0;
  std::string detail;
  Firewall firewall = {};
};
struct Done {
  std::string uplink;
  Verb verb = Verb::make;
  Part part = Part::record;
  Result<Made> result;  // verify: an error says that, and why, it is not there any more, unless it says_nothing()
};

// Whether a question failed for want of memory or descriptors, or its answer could not be read: then nothing is known.
bool says_nothing(const Error& error);

struct Purged {
  std::string uplink;
  Result<> result;
};

// ENETUNREACH: there is no way.
struct LookedUp {
  std::string uplink;
  Result<Route> route;
  bool native_ipv4 = false;  // the kernel has a way for IPv4 by this uplink, too
};
struct ShortcutServed {
  ShortcutSpec spec;
  Result<> result;
};
// What waits in a tun for a clatd that cannot be asked.
struct TunQueue {
  bool waiting = false;            // there are packets
  std::uint64_t packets_read = 0;  // since the tun was made
};
// `kernel`: a fresh dump, unless it failed. `queues`: of the uplinks whose clatd has no control socket. `missing`: the
// checks that found something else; whatever has no place here is as it should be, or could not be asked for.
struct Audited {
  struct Missing {
    Audit::Check check;
    Error error;
  };
  std::optional<Kernel> kernel = {};
  std::map<std::string, TunQueue> queues = {};
  std::vector<Missing> missing = {};
  std::optional<Error> shortcut = {};              // what it lacks
  std::optional<Error> unasked = {};               // the first that could not be asked for
  std::map<std::string, Firewall> firewalls = {};  // of the uplinks whose announcement stands, where it could be read
};

struct ChildReady {
  std::string uplink;
  int pid = 0;
  std::uint64_t drained = 0;  // packets queued before it was ready, dropped
};
// It answered a ping, or what else it was told.
struct ChildAnswered {
  std::string uplink;
  int pid = 0;
};
// Its control socket is over, and nothing more can be heard of it; most often because it ends.
struct ChildMute {
  std::string uplink;
  int pid = 0;
  std::string reason;
};
struct ChildExited {
  std::string uplink;
  int pid = 0;
  int status = 0;  // exit code
  int signal = 0;  // 0: exited
};
struct ChildOutput {
  std::string uplink;
  int pid = 0;
  std::string line;
  std::uint64_t suppressed = 0;  // lines dropped by the rate limit before this one
};

// A hook runs, or could not be started. `refused`: others than root could change it.
struct HookStarted {
  std::string uplink;
  Result<int> pid;
  bool refused = false;
};
struct HookOutput {
  std::string uplink;
  int pid = 0;
  std::string line;
  std::uint64_t suppressed = 0;  // as in ChildOutput
};
struct HookExited {
  std::string uplink;
  int pid = 0;
  int status = 0;  // exit code
  int signal = 0;  // 0: exited
};

struct HealthCollected {
  std::map<std::string, Counters> by_uplink;
};
struct Tick {};  // the timer that was armed at Plan::wake_at

using Event =
    std::variant<ConfigLoaded, ConfigRejected, RecordsFound, StopRequested, HandoverRequested, DumpRequested,
                 StatusAsked, RestartAsked, LinkSeen, LinkGone, Ipv6Seen, Ipv6Gone, Ipv6RoutesChanged,
                 Ipv4DefaultRouteChanged, Ipv4Seen, Ipv4Gone, KernelDumped, TrafficControlChanged, NftablesChanged,
                 RouterHeard, AddressContested, NeighboursFlood, NextHopSeen, Sent, PingEnded, Nat64Answer, Done,
                 Purged, LookedUp, ShortcutServed, Audited, ChildReady, ChildAnswered, ChildMute, ChildExited,
                 ChildOutput, HookStarted, HookOutput, HookExited, HealthCollected, Tick>;

}  // namespace clat::model
