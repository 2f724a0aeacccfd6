// What is: the kernel's facts, what we have made of each CLAT, and what is under way. Plain values, no effects.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "core/base/error.hpp"
#include "supervisor/model/actions.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/status.hpp"
#include "supervisor/plan/dead_routers.hpp"
#include "supervisor/plan/hooks.hpp"
#include "supervisor/plan/interfaces.hpp"
#include "supervisor/plan/name_servers.hpp"
#include "supervisor/plan/outlook.hpp"
#include "supervisor/plan/parts.hpp"
#include "supervisor/plan/prefixes.hpp"
#include "supervisor/plan/presence.hpp"
#include "supervisor/plan/probing.hpp"
#include "supervisor/plan/process.hpp"
#include "supervisor/plan/retry.hpp"
#include "supervisor/plan/shortcut.hpp"

namespace clat::plan {

using namespace model;  // the brain's own vocabulary

// Times are told in whole milliseconds.
inline milliseconds whole(std::chrono::steady_clock::duration time) {
  return std::chrono::duration_cast<milliseconds>(time);
}

struct Piece {
  std::optional<Spec> have;
  bool damaged = false;       // the kernel lacks some or all of it: it is made again, or what is left is removed
  bool verify = false;        // ask the kernel whether `have` is still true
  Verb failing = Verb::make;  // that `retry` is about; it holds back this part, and so what stands on it
  Retry retry;

  [[nodiscard]] bool stands() const { return have && !damaged; }
  [[nodiscard]] bool is(const std::optional<Spec>& wanted) const { return have == wanted && !damaged; }
  void damage() { damaged = have.has_value(); }
  void forget();  // it is gone
};

struct Addresses {
  Ipv4Address v4;
  Ipv6Address v6;
  bool operator==(const Addresses&) const = default;
};

// What was counted last, and before that.
struct Samples {
  struct Sample {
    TimePoint at{};
    Counters counters;
  };
  std::optional<Sample> now, before;

  void take(Counters counters, TimePoint at);
};
// A rate is of no less time than that.
constexpr milliseconds kShortestRate{900};

// Where clatd is the whole data path, IPv4 goes by another uplink after so long without one that reads packets.
constexpr std::chrono::seconds kClatdGrace{2};
// So many ends within that time are flapping.
constexpr std::size_t kFlappingEnds = 5;
constexpr std::chrono::minutes kFlappingTime{10};

// An uplink's clatds, one after the other.
struct Child {
  Process process;
  unsigned spawns = 0;
  Retry start;                     // the last one ended, or could not be started
  std::vector<TimePoint> ends;     // of the last kFlappingEnds that nobody had asked for, starts that failed among them
  std::optional<Ending> last_end;  // of these
  std::optional<Spec> refused;     // clatd said that these arguments are bad: no other try with them

  [[nodiscard]] unsigned restarts() const { return spawns == 0 ? 0 : spawns - 1; }
  [[nodiscard]] bool is_flapping(TimePoint now) const;
};
// The blackhole of an address that was given up stays for kGuardGrace, so that the kernel answers nobody in its name.
struct RetiredGuard {
  GuardSpec guard;
  TimePoint release_at{};
};
constexpr std::chrono::seconds kGuardGrace{10};

// An action that was issued and whose result is not here yet.
struct UnderWay {
  Verb verb = Verb::make;
  Spec target;
};

struct Clat {
  std::array<Piece, kParts> pieces;
  std::optional<UnderWay> under_way;   // one at a time, so that each is planned knowing how the one before went
  std::optional<Addresses> addresses;  // kept while the uplink is away, to be taken again in the same /64
  bool adopt = false;                  // the parts of `addresses` exist already, left by an earlier supervisor
  bool takes_over = false;             // of what was adopted, not all is made again: only the record knows the rest
  bool ask_route = true;               // something changed that may change it
  bool native_ipv4 = false;            // as the last answer about the route said
  bool asking_route = false;           // the answer is on its way
  std::optional<Route> route;          // last known, towards the NAT64
  int route_refusal = 0;               // errno: a rule or route forbids the way (prohibit, blackhole)
  int tun = 0;                         // ifindex of our tun, 0: none
  bool reachable = false;              // `route` holds now
  bool was_ready = false;              // some child has been ready since the addresses were chosen
  bool misses_clatd = false;           // none has for longer than kClatdGrace, and it is the data path
  bool up = false;
  std::optional<TimePoint> up_since;
  State state = State::waiting;
  TimePoint state_since{};
  Samples samples;
  std::optional<TimePoint> no_clatd_since;  // no child reads packets
  Child child;
  Prefixes prefixes;                            // that were discovered
  std::optional<Nat64Prefix> discovered;        // of these, the one that is used
  bool told_too_many = false;                   // prefixes
  NameServers name_servers;                     // that the uplink's routers advertise
  std::optional<std::uint32_t> advertised_mtu;  // of the link, as a router said last
  Retry solicitation;                           // none: a router was heard
  std::optional<TimePoint> ask_dns_at;          // for the prefix; none: the answer is on its way, or nobody listens
  Backoff dns_silence;                          // since it last knew a prefix
  Retry route_question;                         // the last one failed
  std::optional<TimePoint> better_at;           // when it moves to a subnet of a better rank
  Presence presence;
  DeadRouters dead_routers;
  std::optional<Reason> obstacle;  // why it has no IPv4 at the moment
  Firewall firewall;               // of the host, as it was found last
  Outlook outlook;
  Hooks hooks;
  Probing probing;
  std::optional<TimePoint> guard_release_at;  // the address has no use now; its blackhole stays until then
  std::vector<RetiredGuard> retired;

  Retry bpf_filter;  // it is not to be had by BPF; other means confine clatd, and there is no fast path

  std::string shaped_by;                 // ifb; as it was told last
  std::optional<Shaping> told_unshaped;  // why not, where that was told

  std::string fast_path_kind;  // "tcx", "clsact"; empty: not attached
  bool fast_path_was_lost = false;
  Retry fast_path;  // it is not to be had; the other leg carries the traffic

  Piece& piece(Part part) { return pieces[index(part)]; }
  [[nodiscard]] const Piece& piece(Part part) const { return pieces[index(part)]; }
  [[nodiscard]] bool empty() const;    // nothing of it is in the kernel
  [[nodiscard]] bool has_tun() const;  // or is about to
  [[nodiscard]] bool hears_routers() const;
  [[nodiscard]] bool hears_of(const Ipv6Address& v6) const;  // what neighbours say of it
  [[nodiscard]] bool has_under_way(Part part) const { return under_way && part_of(under_way->target) == part; }
  [[nodiscard]] const Retry* failure() const;  // of the first part that has one, but for a taken default route
  // Another IPv4 default route has our metric. Who binds to the tun has IPv4 all the same.
  [[nodiscard]] bool route_is_taken() const;
  [[nodiscard]] bool is_unconfined() const;  // its filter is lost, and cannot be made again
  // The tun is not there any more. What stood on it is found unwanted by the plan.
  void lose_tun();
  // What the routers of a link said that is gone.
  void forget_routers();
  [[nodiscard]] Reason why_no_clatd() const;  // while it is missed
  [[nodiscard]] bool can_be_probed() const;   // what carries IPv4 stands, but for the default route
  // Why it does not carry IPv4 although it stands. None: it does.
  [[nodiscard]] std::optional<Reason> why_unused() const;
};

// What an earlier supervisor left of one uplink, until it is taken over or purged.
struct Leftover {
  RecordSpec record;
  bool unfit = false;  // to be purged
  bool purging = false;
  Retry retry = {};
};

// Routes that an audit asks for although nothing is known to have changed.
constexpr std::size_t kRoutesPerAudit = 4;

// CLATs to look at again. With hundreds of uplinks, all at each event would be too many.
struct Scope {
  bool all = false;
  std::set<std::string> uplinks{};
};

struct World {
  std::shared_ptr<const config::Config> config;  // none before the first ConfigLoaded; changed by use()
  Kernel kernel;
  bool kernel_known = false;
  std::map<std::string, Clat> clats;          // by uplink
  std::map<std::string, Leftover> leftovers;  // by uplink
  LinkMetrics metrics;                        // of links that a pattern matches, while they exist
  // Tuns that we have taken down while notifications about them may still be on their way.
  std::set<int> buried_tuns;
  bool stopping = false;
  bool handover = false;
  Random random;
  TimePoint started{};
  std::string config_file;
  unsigned reloads = 0;
  std::optional<ConfigRejected> refused;  // since the config in use
  bool status_asked = false;              // counters are wanted as they are now
  TimePoint health_due{};
  bool health_wanted = false;                // what is being collected is for the log as well
  std::optional<TimePoint> health_deadline;  // counters were asked for; report without the late ones then
  TimePoint audit_due{};
  // Kept up to date by settle(), and what the edge knows of it.
  std::vector<Ipv4Prefix> subnets;
  std::optional<std::vector<Ipv4Prefix>> subnets_told;
  Shortcut shortcut;
  std::string last_route_asked;  // an uplink: audits ask for some routes at a time, in turn

  // Of `config`, by what is asked for each CLAT about all others: which entry has this address (as a number), and what
  // is mapped one to one.
  std::map<std::uint32_t, std::string> fixed_ipv4;
  std::vector<RangeMapping> mapped;

  void use(std::shared_ptr<const config::Config> now);
  // Names of links have changed, or there are others.
  void find_interfaces();
  [[nodiscard]] const Interfaces& interfaces() const { return interfaces_; }
  [[nodiscard]] const Interface* interface(const std::string& uplink) const;       // none when stopping
  [[nodiscard]] const config::Interface* wanted(const std::string& uplink) const;  // none when stopping
  [[nodiscard]] const Link* link(const std::string& name) const { return kernel.links.find(name); }
  // This tun of ours is gone; what is still said of it does not count.
  void bury_tun(int ifindex);

 private:
  Interfaces interfaces_;  // of `config`, on the links of `kernel`
};

}  // namespace clat::plan
