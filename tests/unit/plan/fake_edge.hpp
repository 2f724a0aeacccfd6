// A kernel and an edge made of maps: what clatvisor would have made, with the rules that the order of making and
// removing must keep. Breaking one is a test failure at the action that broke it.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "supervisor/log/words.hpp"
#include "supervisor/plan/app.hpp"

namespace clat::plan::test {

using Note = log::Entry;
using log::Severity;

struct Executed {
  std::string uplink;
  Verb verb;
  Part part;
  bool operator==(const Executed&) const = default;
};

class FakeEdge : public Edge {
 public:
  std::optional<Event> execute(const Action& action) override;

  // Whether anything of this uplink exists.
  [[nodiscard]] bool has(const std::string& uplink, Part part) const;
  [[nodiscard]] bool is_empty() const;                                             // nothing at all
  [[nodiscard]] std::vector<std::string> log_of(const std::string& uplink) const;  // "make tun", …

  std::vector<Executed> executed;
  std::vector<Purge> purged;
  unsigned health_requests = 0;
  // Events that the kernel would send in answer; the test hands them to the App.
  std::vector<Event> pending;
  // The next makes of this part fail with this error.
  std::map<std::pair<std::string, Part>, Error> failing;
  std::vector<Ipv4Prefix> subnets;  // of the host's links
  std::optional<Error> shortcut_error;
  std::optional<ShortcutSpec> shortcut;  // as it is served
  bool native_ipv4 = false;              // of every uplink
  std::vector<Nat64Question> asked_dns;
  std::vector<std::string> solicited;                              // uplinks
  std::vector<AddressProbe> probed;                                // for duplicates
  std::vector<AddressClaim> advertised;                            // to all neighbours
  std::vector<WayTo> questions;                                    // for the way to a NAT64
  std::function<void()> meanwhile;                                 // what happens while the kernel answers one of these
  Result<Route> route = Route{Ipv6Address::parse("fe80::1"), {}};  // towards every NAT64
  std::optional<Route> way_round;                                  // where the router of `route` is dead
  std::vector<std::vector<Ipv6Address>> asked_routers;
  std::set<Part> change_fails;
  std::map<Part, unsigned> remove_fails;  // so many times
  Firewall firewall;                      // of the host
  bool forwarding = true;                 // of IPv6; without it there is no routed leg
  std::optional<Error> no_bpf;            // why programs cannot be attached now
  bool purge_fails = false;
  bool obedient_children = true;   // exit on SIGTERM
  bool children_get_ready = true;  // by themselves
  bool children_answer = true;

  std::vector<Ping> pings;
  std::optional<Error> no_answer;        // to pings
  bool pings_end = true;                 // at once
  std::vector<HookCall> hooks;           // that were run, in order
  std::map<std::string, int> hook_pids;  // of those that run, by uplink
  std::vector<int> hook_signals;
  bool hooks_end = true;  // by themselves, at once, with
  int hook_status = 0;
  std::optional<HookStarted> no_hook;  // the answer, where none can be started

  // What happens behind the product's back.
  void end_ping(const Ping& ping);
  void end_hook(const std::string& uplink, int status = 0, int signal = 0);
  void steal_fast_path(const std::string& uplink);
  void steal(const std::string& uplink, Part part);
  void forget_child(const std::string& uplink);
  void lose_tun(int ifindex);

  [[nodiscard]] int pid(const std::string& uplink) const;
  [[nodiscard]] const Spec* spec(const std::string& uplink, Part part) const;

 private:
  Audited act(const Audit& audit);
  HookStarted act(const RunHook& run);
  [[nodiscard]] bool lacks_forwarding(const Spec& spec) const;
  Result<Made> without_bpf(const PartAction& action);
  [[nodiscard]] bool lacks_bpf(const Spec& spec) const;
  [[nodiscard]] bool is_confined(const std::string& uplink) const;
  Result<Made> make(const PartAction& action);
  Result<Made> change(const PartAction& action);
  Result<Made> remove(const PartAction& action);
  void check_order(const PartAction& action) const;
  void answer(const std::string& uplink);

  std::map<std::string, std::array<std::optional<Spec>, kParts>> made_;
  std::map<std::string, std::set<Ipv6Address>> guards_;
  std::map<std::string, std::set<int>> pinned_;  // ifindexes of uplinks; a pin outlives what somebody detached
  std::set<std::string> stolen_;                 // fast paths that are gone while the planner cannot know yet
  bool knows_subnets_ = false;
  std::map<std::string, int> pids_;
  std::map<int, std::string> tuns_;
  int next_ifindex_ = 100;
  int next_pid_ = 1000;
};

// An App over a FakeEdge with a clock that the test moves, and links that it makes.
class Bench {
 public:
  explicit Bench(std::uint64_t seed = 1);

  void load(const config::Config& config);
  void link(const std::string& name, int ifindex, bool up = true, bool carrier = true, std::uint32_t mtu = 1500);
  void unlink(int ifindex);
  void address(int ifindex, const std::string& v6, bool usable = true);
  void no_address(int ifindex, const std::string& v6);
  void kill_child(const std::string& uplink, int signal = 9);
  void handle(Event event);
  void settle();                                 // hands in what the kernel would answer, until it is silent
  void advance(std::chrono::milliseconds time);  // ticks at every wake_at on the way

  [[nodiscard]] std::vector<std::string> events_of(const std::string& uplink) const;  // names of notes
  [[nodiscard]] const Note* last(std::string_view event, const std::string& iface = "") const;

  FakeEdge edge;
  TimePoint now{std::chrono::hours(1)};
  std::vector<Note> notes;
  App app;
};

// Uplinks "up0", "up1", … with prefixes 2001:db8:64:N::/96, no jitter.
config::Config config_of(std::size_t uplinks);
std::string field(const Note& note, std::string_view key);

}  // namespace clat::plan::test
