// apply() by kind of event. Split over seven files: what the kernel tells (apply_kernel.cpp) and what neighbours do
// (apply_neighbours.cpp), how actions went (apply_done.cpp), what becomes of a clatd (apply_child.cpp) and of hooks
// (apply_hooks.cpp) and of the shortcut (apply_shortcut.cpp), everything else (apply.cpp).
#pragma once

#include <string>
#include <vector>

#include "supervisor/model/events.hpp"
#include "supervisor/model/notices.hpp"
#include "supervisor/plan/world.hpp"

namespace clat::plan {

class Applier {
 public:
  Applier(World& world, TimePoint now, std::vector<Notice>& notices) : world_(world), now_(now), notices_(notices) {}

  void operator()(const ConfigLoaded&);
  void operator()(const ConfigRejected&);
  void operator()(const RecordsFound&);
  void operator()(const StopRequested&);
  void operator()(const HandoverRequested&);
  void operator()(const DumpRequested&);
  void operator()(const StatusAsked&);
  void operator()(const RestartAsked&);
  void operator()(const LinkSeen&);
  void operator()(const LinkGone&);
  void operator()(const Ipv6Seen&);
  void operator()(const Ipv6Gone&);
  void operator()(const Ipv6RoutesChanged&);
  void operator()(const Ipv4DefaultRouteChanged&);
  void operator()(const Ipv4Seen&);
  void operator()(const Ipv4Gone&);
  void operator()(const KernelDumped&);
  void operator()(const TrafficControlChanged&);
  void operator()(const NftablesChanged&);
  void operator()(const Done&);
  void operator()(const Purged&);
  void operator()(const ChildReady&);
  void operator()(const ChildAnswered&);
  void operator()(const ChildMute&);
  void operator()(const ChildExited&);
  void operator()(const ChildOutput&);
  void operator()(const HookStarted&);
  void operator()(const HookOutput&);
  void operator()(const HookExited&);
  void operator()(const HealthCollected&);
  void operator()(const RouterHeard&);
  void operator()(const AddressContested&);
  void operator()(const NeighboursFlood&);
  void operator()(const NextHopSeen&);
  void operator()(const Nat64Answer&);
  void operator()(const Sent&) {}  // it is sent again in time, whether or not it was
  void operator()(const PingEnded&);
  void operator()(const LookedUp&);
  void operator()(const Audited&);
  void operator()(const ShortcutServed&);
  void operator()(const Tick&) {}  // time itself is the news: plan() looks at the clock

 private:
  void tell(What what) { notices_.push_back({"", std::move(what)}); }
  void tell(const std::string& uplink, What what) { notices_.push_back({uplink, std::move(what)}); }
  [[nodiscard]] bool configured(const std::string& name) const { return world_.wanted(name) != nullptr; }
  void ask_route_of(int ifindex);
  void tell_links(const Links& before);
  void take_dump(const Kernel& kernel);
  Clat* parent_of(const std::string& uplink, int pid);
  void look_at_queue(const std::string& uplink, const TunQueue& queue);
  Hooks* hooks_of(const std::string& uplink, int pid);
  void hook_ended(const std::string& uplink, Hooks& hooks, Ending how, bool refused = false);
  void child_told_to_stop(const std::string& uplink, Process& process, milliseconds patience);
  [[nodiscard]] bool gives_up(const Retry& retry) const;
  milliseconds retry_delay(Retry& retry);
  milliseconds fail(Piece& piece, Verb verb, const Error& error);
  void back_off(const std::string& uplink, Child& child, Ending end);
  void hurry_what_stands_on(Clat& clat, Part base);
  void made(const std::string& uplink, Clat& clat, const Spec& target, const Made& result);
  void child_started(const std::string& uplink, Clat& clat, int pid);
  void filter_made(const std::string& uplink, Clat& clat, bool was_lost);
  void fast_path_attached(const std::string& uplink, Clat& clat, const std::string& kind);
  void shortcut_failed(const Error& error);
  void tell_unasked(const Error& error);
  void lost(const std::string& uplink, Clat& clat, Part part, const Error& error);
  void fast_path_lost(const std::string& uplink, Clat& clat, const Error& error);
  void not_made(const std::string& uplink, Clat& clat, const Spec& target, Verb verb, const Error& error);
  void filter_not_made(const std::string& uplink, Clat& clat, const FilterSpec& target, const Error& error);
  void fast_path_not_made(const std::string& uplink, Clat& clat, Verb verb, const Error& error);
  void fails(const std::string& uplink, Clat& clat, Part part, Verb verb, const Error& error);
  void child_not_made(const std::string& uplink, Clat& clat, Verb verb, const Error& error);
  void fast_path_unavailable(const std::string& uplink, Clat& clat, const Error& error);
  // Of an uplink whose prefix is to be discovered; null for others.
  Clat* discovering(const std::string& uplink);
  void take_firewall(const std::string& uplink, Clat& clat, const Firewall& firewall);
  void removed(Clat& clat, const Spec& target);

  World& world_;
  TimePoint now_;
  std::vector<Notice>& notices_;
};

}  // namespace clat::plan
