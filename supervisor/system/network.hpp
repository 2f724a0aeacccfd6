// The parts of a CLAT that live in the kernel, one method per spec and verb. make: also when half or all of it is there
// already. change: without a gap where the kernel can. remove: fine when it was gone. What others made stays as it is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/fd/fd.hpp"
#include "core/net/error.hpp"
#include "supervisor/plan/action.hpp"
#include "supervisor/plan/event.hpp"
#include "supervisor/system/rtnetlink.hpp"
#include "supervisor/system/saved_sysctls.hpp"
#include "supervisor/system/state_dir.hpp"
#include "supervisor/system/sysctl.hpp"
#include "supervisor/system/tun.hpp"

namespace clat::system {

// The tun's ifalias, by which it is known as ours: "clatvisor CLAT of wan0".
std::string tun_alias(const std::string& uplink);

class Network {
 public:
  // `state` keeps the sysctls' saved values, and must outlive this.
  static Result<Network> open(StateDir& state, Sysctl sysctl = Sysctl{});

  // Returns the ifindex, and keeps the device open, so that it has a carrier, until it is removed. Persistent: it
  // outlives this process.
  Result<int> make(const std::string& uplink, const plan::TunSpec& spec);
  Result<> remove(const std::string& uplink, const plan::TunSpec& spec);
  // The queues of the tun that was made for this uplink, to hand to a child; they stay ours. Empty: there is none.
  [[nodiscard]] std::vector<int> tun_queues(const std::string& uplink) const;
  // What the child has read from it, and left in it. Of a tun with one queue.
  Result<plan::TunQueue> tun_queue(const std::string& uplink);

  Result<> make(const plan::SetupSpec& spec);
  Result<> change(const plan::SetupSpec& before, const plan::SetupSpec& spec);
  Result<> remove(const plan::SetupSpec& spec);

  Result<> make(const plan::GuardSpec& spec);
  Result<> change(const plan::GuardSpec& before, const plan::GuardSpec& spec);
  Result<> remove(const plan::GuardSpec& spec);

  // The routed leg needs net.ipv6.conf.all.forwarding, which is the operator's to set: EPERM without it.
  Result<> make(const plan::AnnounceSpec& spec);
  Result<> change(const plan::AnnounceSpec& before, const plan::AnnounceSpec& spec);
  Result<> remove(const plan::AnnounceSpec& spec);

  // The way to `destination` if it had to be by this device. ENETUNREACH: there is none.
  Result<plan::Route> way_to(const Ipv6Address& destination, int ifindex) {
    return rtnetlink_.way_to(destination, ifindex);
  }

  // EEXIST: another default route has this metric.
  Result<> make(const plan::RouteSpec& spec);
  Result<> change(const plan::RouteSpec& before, const plan::RouteSpec& spec);
  Result<> remove(const plan::RouteSpec& spec);

  // The kernel's tables, each read once, to verify all parts of all CLATs by; `kernel` was read just before.
  struct Stock {
    plan::Kernel kernel;
    std::vector<HostRoute> host_routes;
    std::vector<DefaultRoute> default_routes;
    std::vector<ProxyNeighbour> proxies;
  };
  Result<Stock> take_stock(plan::Kernel kernel);
  // The error says what is missing. A record and a child are not in these tables.
  Result<> verify(const std::string& uplink, const plan::TunSpec& spec, const Stock& stock) const;
  static Result<> verify(const plan::SetupSpec& spec, const Stock& stock);
  static Result<> verify(const plan::GuardSpec& spec, const Stock& stock);
  Result<> verify(const plan::AnnounceSpec& spec, const Stock& stock) const;
  static Result<> verify(const plan::RouteSpec& spec, const Stock& stock);

  // Takes away everything that the record names and that is ours. Goes on after an error, and returns the first. The
  // record itself stays for the caller to erase.
  Result<> purge(const plan::RecordSpec& record);

  // Why the saved sysctls of a killed supervisor could not be taken over; empty: they could, or there were none.
  [[nodiscard]] const std::string& forgotten() const { return saved_.forgotten(); }
  // Takes away what bears our mark though no record names it: blackholes of addresses that a killed supervisor had just
  // given up, and, where its records are lost, announcements, and the tuns that nobody holds.
  Result<> sweep(const std::vector<plan::RecordSpec>& records);

  [[nodiscard]] const Sysctl& sysctl() const { return sysctl_; }

 private:
  Network(RtNetlink rtnetlink, Sysctl sysctl, SavedSysctls saved)
      : rtnetlink_(std::move(rtnetlink)), sysctl_(std::move(sysctl)), saved_(std::move(saved)) {}
  Result<> hold_every_queue(const OpenTun& tun, const plan::TunSpec& spec);
  Result<> delete_our_tun(const std::string& uplink, const std::string& name);
  Result<> configure(const plan::SetupSpec& spec);
  Result<> refuse_ipv6_addresses(int tun);
  Result<> drop_link_local_addresses(int tun);
  Result<> route_into_tun(const plan::AnnounceSpec& spec);
  Result<> announce(const plan::AnnounceSpec& spec);
  Result<> purge_routes(const plan::RecordSpec& record);

  struct Held {
    int ifindex = 0;
    std::vector<Fd> queues;
  };
  RtNetlink rtnetlink_;
  Sysctl sysctl_;
  SavedSysctls saved_;
  std::map<std::string, Held> tuns_;   // by uplink
  std::map<std::string, Fd> anycast_;  // by uplink: memberships
};

}  // namespace clat::system
