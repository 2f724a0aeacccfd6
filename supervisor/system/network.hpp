// The parts of a CLAT that live in the kernel, one method per spec and verb. make: also when half or all of it is there
// already. change: without a gap where the kernel can. remove: fine when it was gone. What others made stays as it is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/model/actions.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/system/nft_table.hpp"
#include "supervisor/system/rtnetlink.hpp"
#include "supervisor/system/saved_sysctls.hpp"
#include "supervisor/system/state_dir.hpp"
#include "supervisor/system/sysctl.hpp"
#include "supervisor/system/tun.hpp"

namespace clat::system {

// Of GSO and GRO on the tun, bytes. BIG TCP packets cannot be translated.
constexpr std::uint32_t kLargestOffload = 65536;

// The tun's ifalias, by which it is known as ours: "clatvisor CLAT of wan0".
std::string tun_alias(const std::string& uplink);

class Network {
 public:
  // `state` keeps the sysctls' saved values, and must outlive this.
  static Result<Network> open(StateDir& state, Sysctl sysctl = Sysctl{});

  // Returns the ifindex, and keeps the device open, so that it has a carrier, until it is removed. Persistent: it
  // outlives this process.
  Result<int> make(const std::string& uplink, const model::TunSpec& spec);
  Result<> remove(const std::string& uplink, const model::TunSpec& spec);
  // The queues of the tun that was made for this uplink, to hand to a child; they stay ours. Empty: there is none.
  [[nodiscard]] std::vector<int> tun_queues(const std::string& uplink) const;
  // What the child has read from it, and left in it. Of a tun with one queue.
  Result<model::TunQueue> tun_queue(const std::string& uplink);

  Result<> make(const model::SetupSpec& spec);
  Result<> change(const model::SetupSpec& before, const model::SetupSpec& spec);
  Result<> remove(const model::SetupSpec& spec);

  Result<> make(const model::GuardSpec& spec);
  Result<> remove(const model::GuardSpec& spec);

  // A table of ours, which nft has just put in (nft_text.hpp): from now on verify_rules() compares it with what it is
  // now.
  Result<> take_rules(const RuleTable& table, const std::vector<std::string_view>& chains);
  Result<> verify_rules(const RuleTable& table, const std::vector<std::string_view>& chains);
  // Also those of an earlier supervisor, whose tun somebody still held.
  Result<> remove_rules(const RuleTable& table);
  // What they dropped, by the names of the health line. Nothing: there are none, or they cannot be asked.
  model::Counters filter_drops(int tun);

  // The routed leg needs net.ipv6.conf.all.forwarding, which is the operator's to set: EPERM without it.
  Result<> make(const model::AnnounceSpec& spec);
  Result<> change(const model::AnnounceSpec& before, const model::AnnounceSpec& spec);
  Result<> remove(const model::AnnounceSpec& spec);

  Result<model::Route> way_to(const model::WayTo& question) { return rtnetlink_.way_to(question); }
  Result<> ask_neighbour(int ifindex, const Ipv6Address& address) { return rtnetlink_.ask_neighbour(ifindex, address); }
  // Whether IPv4 leaves by that link without us.
  bool has_native_ipv4(int ifindex) { return rtnetlink_.routes_ipv4(ifindex); }

  Result<> make(const model::ShapingSpec& spec) { return rtnetlink_.copy_redirect(spec.tun, spec.redirect); }
  Result<> change(const model::ShapingSpec&, const model::ShapingSpec& spec) { return make(spec); }
  Result<> remove(const model::ShapingSpec& spec) { return rtnetlink_.copy_redirect(spec.tun, std::nullopt); }
  Result<> verify(const model::ShapingSpec& spec) { return rtnetlink_.verify_redirect(spec.tun, spec.redirect); }

  // EEXIST: another default route has this metric.
  Result<> make(const model::RouteSpec& spec);
  Result<> remove(const model::RouteSpec& spec);

  // The kernel's tables, each read once, to verify all parts of all CLATs by; `kernel` and `tuns` were read just
  // before.
  struct Stock {
    model::Kernel kernel;
    std::map<int, LinkMessage> tuns;  // by ifindex, everybody's
    [[nodiscard]] const LinkMessage* find_tun(int ifindex) const {
      const auto found = tuns.find(ifindex);
      return found == tuns.end() ? nullptr : &found->second;
    }
    std::set<int> sysctls_due;  // of these; each is three files, so with hundreds they are read in turn
    std::vector<HostRoute> host_routes;
    std::vector<DefaultRoute> default_routes;
    std::vector<ProxyNeighbour> proxies;
  };
  Result<Stock> take_stock(model::Kernel kernel, std::vector<LinkMessage> tuns);
  // The error says what is missing. A record and a child are not in these tables.
  Result<> verify(const std::string& uplink, const model::TunSpec& spec, const Stock& stock) const;
  Result<> verify(const model::SetupSpec& spec, const Stock& stock) const;
  static Result<> verify(const model::GuardSpec& spec, const Stock& stock);
  Result<> verify(const model::AnnounceSpec& spec, const Stock& stock) const;
  static Result<> verify(const model::RouteSpec& spec, const Stock& stock);
  Result<> verify(const model::RouteSpec& spec);  // asks the kernel for this alone

  // Takes away everything that the record names and that is ours. Goes on after an error, and returns the first. The
  // record itself stays for the caller to erase.
  Result<> purge(const model::RecordSpec& record);

  // Why the saved sysctls of a killed supervisor could not be taken over; empty: they could, or there were none.
  [[nodiscard]] const std::string& forgotten() const { return saved_.forgotten(); }
  // Takes away what bears our mark though no record names it: blackholes of addresses that a killed supervisor had just
  // given up, rules about tuns that nobody holds, and, where its records are lost, announcements, and the tuns that
  // nobody holds. Where another clatvisor lives in this network namespace, they may be its, and only tuns, and rules
  // about them, are taken away.
  // What serves a LAN by a tun that a record names stays if a LAN is `served` now: it is taken over as it is.
  enum class Lan : bool { not_served, served };
  Result<> sweep(const std::vector<model::RecordSpec>& records, Lan lan = Lan::not_served);

  // Tuns that the state directory notes, and that are here neither by number nor by name: deleted, or moved to another
  // network namespace, where this one cannot see them. By the names that the records give them.
  Result<std::vector<std::string>> missing_tuns(const std::vector<model::RecordSpec>& records);

  // IPv4 forwarding, for as long as somebody wants it: by the name of the tun, as the announcement is by the uplink's.
  Result<> want_forwarding(const model::LanSpec& spec);
  Result<> verify_forwarding(const model::LanSpec& spec) const;
  Result<> want_forwarding_no_more(const model::LanSpec& spec);

  [[nodiscard]] const Sysctl& sysctl() const { return sysctl_; }

 private:
  Network(StateDir& state, RtNetlink rtnetlink, std::optional<NftTable> nft_table, Sysctl sysctl, SavedSysctls saved)
      : state_(&state),
        rtnetlink_(std::move(rtnetlink)),
        nft_table_(std::move(nft_table)),
        sysctl_(std::move(sysctl)),
        saved_(std::move(saved)) {}
  Result<> hold_every_queue(const OpenTun& tun, const model::TunSpec& spec);
  [[nodiscard]] bool is_tun_of(const std::string& uplink, const LinkMessage& link, const std::string& name) const;
  Result<> let_go(const std::string& uplink);
  enum class Sparing { none, that_name };
  Result<> delete_tuns_of(const std::string& uplink, const std::string& name, Sparing sparing);
  struct Swept {
    Result<> result;
    bool another_lives = false;  // there is a tun that another clatvisor holds
  };
  Swept sweep_tuns(const std::vector<model::RecordSpec>& records);
  Result<> configure(const model::SetupSpec& spec);
  Result<> refuse_ipv6_addresses(int tun);
  Result<> drop_link_local_addresses(int tun);
  Result<> prepare_to_route(const model::AnnounceSpec& spec);
  Result<> announce(const model::AnnounceSpec& spec);
  Result<> purge_routes(const model::RecordSpec& record);
  Result<> sweep_rules(Lan lan);

  struct Held {
    int ifindex = 0;
    std::vector<Fd> queues;
  };
  StateDir* state_;
  RtNetlink rtnetlink_;
  std::optional<NftTable> nft_table_;  // none: the kernel has none
  Sysctl sysctl_;
  SavedSysctls saved_;
  static constexpr std::size_t kSysctlsPerAudit = 16;
  int last_sysctls_ = 0;               // ifindex of the tun whose sysctls were read last
  std::map<std::string, Held> tuns_;   // by uplink
  std::map<std::string, Fd> anycast_;  // by uplink: memberships
  // As nft put them in; empty: an earlier supervisor's.
  std::map<RuleTable, std::string> rules_;
};

}  // namespace clat::system
