// The maps, as the loader writes and reads them: an entry for each interface, counters for each uplink, the subnets of
// the host, and the uplinks that are optimistic. The first two are pinned.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bpf/clat_abi.h"
#include "core/base/error.hpp"
#include "core/net/ipv4_prefix.hpp"

namespace clat::bpf {

// All that taking away needs to know.
struct Ends {
  int uplink = 0;  // ifindexes
  int tun = 0;
};

class Maps {
 public:
  Maps() = default;
  // Descriptors that outlive this. No subnets are in their map yet.
  Maps(int interfaces, int counters, int subnets, int optimistic)
      : interfaces_(interfaces), counters_(counters), subnets_(subnets), optimistic_(optimistic) {}

  [[nodiscard]] int interfaces() const { return interfaces_; }
  [[nodiscard]] int counters() const { return counters_; }

  [[nodiscard]] std::optional<clat_interface> entry(int ifindex) const;
  [[nodiscard]] Result<> verify(int ifindex, const clat_interface& wanted) const;
  // Ifindex; 0 when no entry tells.
  [[nodiscard]] int tun_of(int uplink_ifindex) const;
  // The entry of a tun that is not another uplink's.
  [[nodiscard]] bool has_tun(const Ends& ends) const;
  // The entry of an uplink that leads to no other tun.
  [[nodiscard]] bool has_uplink(const Ends& ends) const;
  // The loader's own flags stay as they are.
  Result<> write(int ifindex, clat_interface value, std::uint64_t flags);
  // For an interface that has an entry.
  Result<> mark_own_qdisc(int ifindex);
  [[nodiscard]] bool has_own_qdisc(int ifindex) const;

  // Devices of the LAN have entries, too: by them they are found again.
  Result<> put_lan(int ifindex);
  [[nodiscard]] bool is_lan(int ifindex) const;
  void remove_lan(int ifindex);
  [[nodiscard]] std::vector<int> lan_devices() const;

  Result<> make_counters(int uplink_ifindex) const;
  // Of each CPU.
  [[nodiscard]] Result<std::vector<clat_counters>> counters_of(int uplink_ifindex) const;

  // In place of those before; at each moment a subnet of both is there. ENOSPC above CLAT_MAX_SUBNETS.
  Result<> know_subnets(std::span<const Ipv4Prefix> subnets);

  // Whether somebody else may have the CLAT address of this uplink. It goes with the uplink's entry.
  [[nodiscard]] Result<> set_optimistic(int uplink_ifindex, bool optimistic) const;

  // Not those that another uplink or tun took over. The counters go with the last entry.
  void remove_uplink(const Ends& ends);
  void remove_tun(const Ends& ends);

 private:
  // Until `goes_on` returns false.
  template <class GoesOn>
  void each_entry(GoesOn goes_on) const;
  Result<> put(int ifindex, const clat_interface& value, std::uint64_t flags);
  void remove(int ifindex);
  void remove_unused_counters(const Ends& ends) const;

  int interfaces_ = -1;
  int counters_ = -1;
  int subnets_ = -1;
  int optimistic_ = -1;
  std::vector<Ipv4Prefix> known_subnets_;
  bool outdated_ = false;  // some program may still be at work on an entry that was replaced or removed
};

}  // namespace clat::bpf
