// The one place where Actions become deeds: devices, routes, programs, processes.
#pragma once

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bpf/fast_path.hpp"
#include "supervisor/loop/children.hpp"
#include "supervisor/loop/command.hpp"
#include "supervisor/loop/slow_path_totals.hpp"
#include "supervisor/plan/app.hpp"
#include "supervisor/sources/flow_watch.hpp"
#include "supervisor/sources/nat64_resolver.hpp"
#include "supervisor/sources/nd_socket.hpp"
#include "supervisor/sources/netlink_source.hpp"
#include "supervisor/sources/next_hop_watch.hpp"
#include "supervisor/sources/nft_monitor.hpp"
#include "supervisor/sources/pinger.hpp"
#include "supervisor/system/host_firewall.hpp"
#include "supervisor/system/network.hpp"
#include "supervisor/system/state_dir.hpp"

namespace clat {

class KernelEdge : public plan::Edge {
 public:
  // `sink` takes events that come later than the action that caused them. All references outlive the edge.
  KernelEdge(system::StateDir& state, system::Network& network, sources::NetlinkSource& netlink, std::string bpf_dir,
             loop::Loop& loop, loop::Sink sink);
  KernelEdge(const KernelEdge&) = delete;  // its children refer to it
  KernelEdge& operator=(const KernelEdge&) = delete;

  std::optional<model::Event> execute(const model::Action& action) override;
  // Whether it is a child of ours.
  [[nodiscard]] bool owns(int pid) const;

 private:
  std::optional<model::Event> act(const model::PartAction& action);
  std::optional<model::Event> act(const model::Purge& action);
  std::optional<model::Event> act(const model::LookUpRoute& action);
  std::optional<model::Event> act(const model::Solicit& action);
  std::optional<model::Event> act(const model::Advertise& action);
  std::optional<model::Event> act(const model::Probe& action);
  std::optional<model::Event> act(const model::Ping& action);
  std::optional<model::Event> act(const model::AskRouters& action);
  std::optional<model::Event> act(const model::Nat64Question& action);
  std::optional<model::Event> act(const model::CollectHealth& action);
  std::optional<model::Event> act(const model::KnowSubnets& action);
  std::optional<model::Event> act(const model::ServeShortcut& action);
  std::optional<model::Event> act(const model::Audit& action);
  std::optional<model::Event> act(const model::RunHook& action);
  std::optional<model::Event> act(const model::SignalHook& action);

  Result<model::Made> do_part(const model::PartAction& action, const model::RecordSpec& record);
  Result<model::Made> do_part(const model::PartAction& action, const model::TunSpec& tun);
  // Of rules the result comes later.
  std::optional<Result<model::Made>> do_part(const model::PartAction& action, const model::FilterSpec& filter);
  std::optional<Result<model::Made>> do_part(const model::PartAction& action, const model::LanSpec& lan);
  Result<model::Made> do_part(const model::PartAction& action, const model::FastPathSpec& fast_path);
  Result<model::Made> do_part(const model::PartAction& action, const model::ChildSpec& child);
  Result<model::Made> do_part(const model::PartAction& action, const model::ListenSpec& listen);
  // Setup, guard, announce and route: each an object in the kernel that Network makes, changes and removes.
  template <class Spec>
  Result<model::Made> do_part(const model::PartAction& action, const Spec& spec);

  // What an audit asked once for all uplinks.
  struct Found {
    Result<system::Network::Stock> stock;  // without, only the programs can be looked at
    Result<> pins;
  };
  Result<> confine_by_bpf(const model::PartAction& action, const model::FilterSpec& filter);
  Result<> confine_by_rules(const model::PartAction& action, const model::FilterSpec& filter);
  Result<> put_rules(const model::PartAction& action, const std::string& text, std::function<Result<>()> taken);
  Result<> serve_lan(const model::PartAction& action, const model::LanSpec& lan);
  Result<> serve_lan_no_more(const model::LanSpec& lan);
  Result<> check_lan(const model::LanSpec& lan);
  Result<> take_rules(const std::string& uplink, int tun);
  Result<> release(const std::string& uplink, const model::FilterSpec& filter);
  Result<> watch_rules();
  void watch_rules_no_more();
  Result<> serve_shortcut(const model::ShortcutSpec& spec);
  sources::FlowTable flow_table();
  std::optional<Error> check_shortcut();
  void count_shortcut(model::HealthCollected& collected) const;
  Result<> check_filter(const model::FilterSpec& filter, const Result<>& pins);
  template <class Attached>
  Result<> check_programs(const Attached& attached, const Result<>& pins) {
    auto fast = fast_path();
    if (!fast) return std::unexpected(std::move(fast).error());
    return pins ? (*fast)->verify(attached) : pins;
  }
  // What is not as it should be.
  Result<> check(const model::Audit::Check& check, const Found& found);
  static loop::Sink hook_sink(loop::Sink sink);
  Result<model::Made> spawn(const model::ChildSpec& child);
  Result<bpf::FastPath*> fast_path();
  Result<> purge(const model::RecordSpec& record);
  template <class Use>
  Result<> by_nd_socket(const std::string& uplink, Use use) {
    const auto socket = nd_sockets_.find(uplink);
    return socket == nd_sockets_.end() ? failure("nobody listens", ENOENT) : use(*socket->second);
  }
  // A child's counters came, or (null) will not come any more.
  void take_report(const std::string& uplink, int pid, const control::Report* report);
  model::HealthCollected health();

  system::StateDir& state_;
  system::Network& network_;
  sources::NetlinkSource& netlink_;
  std::string bpf_dir_;
  system::HostFirewall firewall_;
  loop::Loop& loop_;
  loop::Sink sink_;

  std::optional<bpf::FastPath> fast_path_;                     // loaded when first wanted
  std::vector<Ipv4Prefix> subnets_;                            // of the host's links, for the programs
  std::map<std::string, bpf::Attachment> counted_;             // by uplink: what has counters
  std::map<std::string, int> ruled_;                           // by uplink: tuns whose clatd nftables confines
  std::set<std::string> served_;                               // uplinks with rules that serve a LAN
  std::map<std::string, std::unique_ptr<loop::Command>> nft_;  // by uplink: runs of nft
  std::unique_ptr<sources::NftMonitor> nft_monitor_;           // while there are any of these
  model::ShortcutSpec shortcut_;
  std::unique_ptr<sources::FlowWatch> flow_watch_;  // while flows may take the shortcut; before the programs go
  std::map<std::string, loop::SlowPathTotals> slow_path_;
  std::map<std::string, std::unique_ptr<sources::NextHopWatch>> next_hops_;  // by uplink
  std::map<std::string, std::unique_ptr<sources::NdSocket>> nd_sockets_;     // by uplink
  std::map<std::string, std::unique_ptr<sources::Pinger>> pingers_;          // by uplink: pings under way
  sources::Nat64Resolver resolver_;
  std::set<std::string> silent_;      // uplinks whose clatd has no control socket
  std::set<std::string> unanswered_;  // uplinks whose counters the current collection waits for
  loop::Children children_;           // its reports go to those above
  loop::Children hooks_;
};

}  // namespace clat
